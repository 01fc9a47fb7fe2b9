// Softmax cross entropy: a warp per sample, a lane for every 32nd class.
#include "cuda/ops/cross_entropy_cuda.hpp"

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/base/reduce.cuh"

namespace strandline::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;

struct Loss {
  Rows<const float> logits;
  const std::int32_t* label;
  const float* class_weight;  // or null
  float* loss;                // or null
  Rows<float> dlogits;        // or absent
  std::int64_t samples, classes;
  float smoothing, scale;
};

// dlogits may be logits: a lane reads and writes its own classes only, and writes in the last pass.
__global__ void __launch_bounds__(kThreads) cross_entropy_kernel(Loss op) {
  const std::int64_t s = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (s >= op.samples) return;  // the whole warp; no barrier follows
  const auto lane = static_cast<std::int64_t>(threadIdx.x % kWarp);
  const float* logits = op.logits.row(s);
  float top = logits[0];
  for (std::int64_t c = lane; c < op.classes; c += kWarp) top = fmaxf(top, logits[c]);
  top = warp_max(top);
  float sum = 0.0F;
  for (std::int64_t c = lane; c < op.classes; c += kWarp) sum += expf(logits[c] - top);
  const float log_sum = logf(warp_sum(sum));
  const std::int32_t label = op.label[s];
  const float w = op.class_weight != nullptr ? op.class_weight[label] : 1.0F;
  const float everywhere = op.smoothing / static_cast<float>(op.classes);
  __syncwarp();  // lane 0's first logit was read by all before it is written
  float loss = 0.0F;
  for (std::int64_t c = lane; c < op.classes; c += kWarp) {
    const float log_p = logits[c] - top - log_sum;
    const float target = (c == label ? 1.0F - op.smoothing : 0.0F) + everywhere;
    if (target != 0.0F) loss = fmaf(-target, log_p, loss);
    if (op.dlogits) op.dlogits.row(s)[c] = op.scale * w * (expf(log_p) - target);
  }
  loss = warp_sum(loss);
  if (lane == 0 && op.loss != nullptr) op.loss[s] = w * loss;
}

}  // namespace

void cross_entropy(Context& context, const ops::CrossEntropyArgs& args) {
  const char* name = "cross_entropy";
  const Loss op{.logits = rows_of<float>(args.logits_sc),
                .label = device_data<std::int32_t>(args.label_s),
                .class_weight = args.class_weight_c ? device_data<float>(args.class_weight_c) : nullptr,
                .loss = args.loss_s ? device_data<float>(args.loss_s) : nullptr,
                .dlogits = rows_of<float>(args.dlogits_sc),
                .samples = args.logits_sc.size(0),
                .classes = args.logits_sc.size(1),
                .smoothing = static_cast<float>(args.label_smoothing),
                .scale = static_cast<float>(args.scale)};
  const unsigned blocks = checked_grid(ceil_div(op.samples, std::int64_t{kWarps}), name);
  cross_entropy_kernel<<<blocks, kThreads, 0, context.stream()>>>(op);
  check_launch(name);
}

}  // namespace strandline::cuda
