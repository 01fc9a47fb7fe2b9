#include "core/cpu/adamw_cpu.hpp"

#include <cmath>

#include "core/cpu/rows.hpp"

namespace strandline::cpu {

// Small enough that the three passes of the kernel over its seven streams stay in the first-level cache.
void adamw(CpuContext& context, const ops::AdamwArgs& args) {
  constexpr std::int64_t kBlock = 1024;
  const auto step = static_cast<double>(args.step);
  const AdamwFactors factors{.beta1 = static_cast<float>(args.beta1),
                             .one_minus_beta1 = static_cast<float>(1.0 - args.beta1),
                             .beta2 = static_cast<float>(args.beta2),
                             .one_minus_beta2 = static_cast<float>(1.0 - args.beta2),
                             .m_correction = static_cast<float>(1.0 / (1.0 - std::pow(args.beta1, step))),
                             .v_correction = static_cast<float>(1.0 / (1.0 - std::pow(args.beta2, step))),
                             .learning_rate = static_cast<float>(args.learning_rate),
                             .eps = static_cast<float>(args.eps),
                             .weight_decay = static_cast<float>(args.weight_decay),
                             .grad_scale = static_cast<float>(args.grad_scale)};
  const auto* grad = args.grad_n.as<float>();
  auto* param = args.param_n.as<float>();
  auto* m = args.m_n.as<float>();
  auto* v = args.v_n.as<float>();
  for_rows(context, args.param_n.size(0), 1, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t n = begin; n < end; n += kBlock) {
      context.simd.adamw(std::min(kBlock, end - n), factors, grad + n, param + n, m + n, v + n);
    }
  });
}

double sum_of_squares(CpuContext& context, const ConstView& x) {
  const std::int64_t elements = x.elements();
  const std::int64_t blocks = ceil_div(elements, kTaskElements);
  const Workspace::Scope scope(context.scratch[0]);
  auto* partial = context.scratch[0].take(DType::f64, {blocks}).as<double>();
  for_row_blocks(context, elements, kTaskElements, [&](std::int64_t begin, std::int64_t end, int) {
    partial[begin / kTaskElements] = context.simd.sum_of_squares(end - begin, x.as<float>() + begin);
  });
  double sum = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) sum += partial[block];
  return sum;
}

}  // namespace strandline::cpu
