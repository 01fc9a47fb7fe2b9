#include "core/cpu/cross_entropy_cpu.hpp"

#include <algorithm>
#include <cmath>

#include "core/cpu/rows.hpp"

namespace strandline::cpu {
namespace {

// In double: there are few classes, and the loss is what a person reads. dlogits may be the logits themselves, so each
// is read before its place is written.
void one_sample(const ops::CrossEntropyArgs& args, std::int64_t s) {
  const std::int64_t classes = args.logits_sc.size(1);
  const float* logits = args.logits_sc.as<float>() + s * args.logits_sc.stride(0);
  float* dlogits = args.dlogits_sc ? args.dlogits_sc.as<float>() + s * args.dlogits_sc.stride(0) : nullptr;
  const std::int32_t label = args.label_s.as<std::int32_t>()[s];
  const double w = args.class_weight_c ? static_cast<double>(args.class_weight_c.as<float>()[label]) : 1.0;
  const auto top = static_cast<double>(*std::max_element(logits, logits + classes));
  double sum = 0.0;
  for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(logits[c]) - top);
  const double log_sum = std::log(sum);
  double loss = 0.0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const double log_p = static_cast<double>(logits[c]) - top - log_sum;
    const double target =
        (c == label ? 1.0 - args.label_smoothing : 0.0) + args.label_smoothing / static_cast<double>(classes);
    if (target != 0.0) loss -= target * log_p;
    if (dlogits != nullptr) dlogits[c] = static_cast<float>(args.scale * w * (std::exp(log_p) - target));
  }
  if (args.loss_s) args.loss_s.as<float>()[s] = static_cast<float>(w * loss);
}

}  // namespace

void cross_entropy(CpuContext& context, const ops::CrossEntropyArgs& args) {
  constexpr std::int64_t kExpCost = 16;  // in elements of an ordinary loop
  for_rows(context, args.logits_sc.size(0), args.logits_sc.size(1) * kExpCost,
           [&](std::int64_t begin, std::int64_t end, int) {
             for (std::int64_t s = begin; s < end; ++s) one_sample(args, s);
           });
}

}  // namespace strandline::cpu
