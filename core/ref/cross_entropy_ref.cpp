#include "core/ref/cross_entropy_ref.hpp"

#include <algorithm>
#include <cmath>

#include "core/ref/element.hpp"

namespace strandline::ref {

template <class T>
void cross_entropy(const ops::CrossEntropyArgs& args) {
  const std::int64_t classes = args.logits_sc.size(1);
  const T smoothing = static_cast<T>(args.label_smoothing);
  for (std::int64_t s = 0; s < args.logits_sc.size(0); ++s) {
    const std::int32_t label = at<std::int32_t>(args.label_s, s);
    const T w = at_or<T>(T(1), args.class_weight_c, label);
    T top = at<T>(args.logits_sc, s, 0);
    for (std::int64_t c = 1; c < classes; ++c) top = std::max(top, at<T>(args.logits_sc, s, c));
    T sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(at<T>(args.logits_sc, s, c) - top);
    const T log_sum = std::log(sum);
    T loss = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const T log_p = at<T>(args.logits_sc, s, c) - top - log_sum;
      const T target = (c == label ? T(1) - smoothing : T(0)) + smoothing / static_cast<T>(classes);
      if (target != T(0)) loss -= target * log_p;
      if (args.dlogits_sc) at<T>(args.dlogits_sc, s, c) = static_cast<T>(args.scale) * w * (std::exp(log_p) - target);
    }
    if (args.loss_s) at<T>(args.loss_s, s) = w * loss;
  }
}

template void cross_entropy<double>(const ops::CrossEntropyArgs&);
template void cross_entropy<float>(const ops::CrossEntropyArgs&);

}  // namespace strandline::ref
