#include "cuda/ops/adamw_cuda.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/base/reduce.cuh"

namespace strandline::cuda {
namespace {

constexpr int kThreads = 256;

struct Step {
  float* param;
  const float* grad;
  float* m;
  float* v;
  std::int64_t count;
  float learning_rate, beta1, beta2, one_minus_beta1, one_minus_beta2, m_correction, v_correction;
  float eps, weight_decay, grad_scale;
};

__global__ void __launch_bounds__(kThreads) adamw_kernel(Step step) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t n = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; n < step.count; n += stride) {
    const float g = step.grad_scale * step.grad[n];
    const float m = fmaf(step.beta1, step.m[n], step.one_minus_beta1 * g);
    const float v = fmaf(step.beta2, step.v[n], step.one_minus_beta2 * g * g);
    const float param = step.param[n];
    const float direction = m / step.m_correction / (sqrtf(v / step.v_correction) + step.eps);
    step.m[n] = m;
    step.v[n] = v;
    step.param[n] = fmaf(-step.learning_rate, fmaf(step.weight_decay, param, direction), param);
  }
}

struct SquareRanges {
  const float* x;
  std::int64_t count;
  std::int64_t elements;  // of a range
};

// One block, one range: its threads take every 256th element, then the tree of block_sum.
__global__ void __launch_bounds__(kThreads) sum_of_squares_kernel(SquareRanges ranges, double* partials) {
  __shared__ double scratch[kThreads / kWarp];
  const std::int64_t begin = blockIdx.x * ranges.elements;
  const std::int64_t end = min(begin + ranges.elements, ranges.count);
  double sum = 0.0;
  for (std::int64_t n = begin + threadIdx.x; n < end; n += kThreads) {
    const auto value = static_cast<double>(ranges.x[n]);
    sum = fma(value, value, sum);
  }
  sum = block_sum<kThreads>(sum, scratch);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    sum_partials_kernel(const double* partials, std::int64_t count, double* sum_of_all) {
  __shared__ double scratch[kThreads / kWarp];
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) sum += partials[i];
  sum = block_sum<kThreads>(sum, scratch);
  if (threadIdx.x == 0) *sum_of_all = sum;
}

}  // namespace

// The corrections are taken in double and rounded once, as in the reference.
void adamw(Context& context, const ops::AdamwArgs& args) {
  const auto number = static_cast<double>(args.step);
  const Step step{.param = device_data<float>(args.param_n),
                  .grad = device_data<float>(args.grad_n),
                  .m = device_data<float>(args.m_n),
                  .v = device_data<float>(args.v_n),
                  .count = args.param_n.size(0),
                  .learning_rate = static_cast<float>(args.learning_rate),
                  .beta1 = static_cast<float>(args.beta1),
                  .beta2 = static_cast<float>(args.beta2),
                  .one_minus_beta1 = static_cast<float>(1.0 - args.beta1),
                  .one_minus_beta2 = static_cast<float>(1.0 - args.beta2),
                  .m_correction = static_cast<float>(1.0 - std::pow(args.beta1, number)),
                  .v_correction = static_cast<float>(1.0 - std::pow(args.beta2, number)),
                  .eps = static_cast<float>(args.eps),
                  .weight_decay = static_cast<float>(args.weight_decay),
                  .grad_scale = static_cast<float>(args.grad_scale)};
  const std::int64_t most = std::int64_t{context.limits().multiprocessors} * 32;
  const std::int64_t blocks = std::min(ceil_div(step.count, std::int64_t{kThreads}), most);
  adamw_kernel<<<checked_grid(blocks, "adamw"), kThreads, 0, context.stream()>>>(step);
  check_launch("adamw");
}

// Ranges depend on the number of elements alone, so that another card gives the same bits.
double sum_of_squares(Context& context, ConstView x) {
  constexpr std::int64_t kMostRanges = 1024;
  constexpr std::int64_t kFewestElements = 4096;
  const Workspace::Scope scope(context.scratch());
  SquareRanges ranges{.x = device_data<float>(x), .count = x.elements(), .elements = 0};
  ranges.elements = std::max(kFewestElements, ceil_div(ranges.count, kMostRanges));
  const std::int64_t count = ceil_div(ranges.count, ranges.elements);
  auto* partials = device_data<double>(context.scratch().take(DType::f64, {count}));
  auto* sum = device_data<double>(context.scratch().take(DType::f64, {1}));
  sum_of_squares_kernel<<<checked_grid(count, "sum_of_squares"), kThreads, 0, context.stream()>>>(ranges, partials);
  check_launch("sum_of_squares");
  sum_partials_kernel<<<1, kThreads, 0, context.stream()>>>(partials, count, sum);
  check_launch("sum_of_squares");
  double result = 0.0;
  context.memory().download(&result, sum, sizeof(result));
  return result;
}

}  // namespace strandline::cuda
