#include "core/cpu/linear_cpu.hpp"

#include "core/cpu/gemm.hpp"
#include "core/cpu/rows.hpp"

namespace strandline::cpu {
namespace {

void multiply(CpuContext& context, const GemmArgs& args) {
  gemm_parallel(context.isa, args, context.team, context.scratch.data());
}

void add_bias(CpuContext& context, const ops::LinearArgs& args) {
  const auto* bias = args.bias_o.as<float>();
  auto* y = args.y_to.as<float>();
  for_rows(context, args.y_to.size(0), args.y_to.size(1), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) context.simd.add(args.y_to.size(1), bias, y + t * args.y_to.stride(0));
  });
}

// Every thread sums its columns over all tokens, ascending, in double.
void sum_bias_gradient(CpuContext& context, const ops::LinearBackwardArgs& args) {
  constexpr std::int64_t kColumns = 64;
  const auto* dy = args.dy_to.as<float>();
  auto* dbias = args.dbias_o.as<float>();
  for_row_blocks(context, args.dbias_o.size(0), kColumns, [&](std::int64_t begin, std::int64_t end, int) {
    double sum[kColumns] = {};
    for (std::int64_t t = 0; t < args.dy_to.size(0); ++t) {
      const float* row = dy + t * args.dy_to.stride(0);
      for (std::int64_t o = begin; o < end; ++o) sum[o - begin] += static_cast<double>(row[o]);
    }
    for (std::int64_t o = begin; o < end; ++o) dbias[o] += static_cast<float>(sum[o - begin]);
  });
}

}  // namespace

void linear(CpuContext& context, const ops::LinearArgs& args) {
  multiply(context, {.m = args.x_ti.size(0),
                     .n = args.weight_oi.size(0),
                     .k = args.x_ti.size(1),
                     .a = {args.x_ti.as<float>(), args.x_ti.stride(0), 1},
                     .b = {args.weight_oi.as<float>(), 1, args.weight_oi.stride(0)},
                     .c = args.y_to.as<float>(),
                     .c_row = args.y_to.stride(0),
                     .accumulate = args.accumulate});
  if (args.bias_o) add_bias(context, args);
}

void linear_backward(CpuContext& context, const ops::LinearBackwardArgs& args) {
  const std::int64_t tokens = args.dy_to.size(0);
  const std::int64_t outputs = args.weight_oi.size(0);
  const std::int64_t inputs = args.weight_oi.size(1);
  const auto* dy = args.dy_to.as<float>();
  if (args.dx_ti) {
    multiply(context, {.m = tokens,
                       .n = inputs,
                       .k = outputs,
                       .a = {dy, args.dy_to.stride(0), 1},
                       .b = {args.weight_oi.as<float>(), args.weight_oi.stride(0), 1},
                       .c = args.dx_ti.as<float>(),
                       .c_row = args.dx_ti.stride(0)});
  }
  if (args.dweight_oi) {
    multiply(context, {.m = outputs,
                       .n = inputs,
                       .k = tokens,
                       .a = {dy, 1, args.dy_to.stride(0)},
                       .b = {args.x_ti.as<float>(), args.x_ti.stride(0), 1},
                       .c = args.dweight_oi.as<float>(),
                       .c_row = args.dweight_oi.stride(0),
                       .accumulate = true});
  }
  if (args.dbias_o) sum_bias_gradient(context, args);
}

}  // namespace strandline::cpu
