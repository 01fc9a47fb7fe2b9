#include "core/ops/cross_entropy.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void cross_entropy(Backend& backend, const CrossEntropyArgs& args) {
  const Check check("cross_entropy", backend);
  check.present({"logits_sc", args.logits_sc}, 2);
  check.present({"label_s", args.label_s}, 1);
  const Shape shape = args.logits_sc.shape();
  const NamedView logits{"logits_sc", args.logits_sc};
  const NamedView label{"label_s", args.label_s};
  const NamedView class_weight{"class_weight_c", args.class_weight_c};
  check.weight(logits, shape);
  check.tensor(label, {shape[0]}, DType::i32);
  check.weight(class_weight, {shape[1]});
  check.weight({"loss_s", args.loss_s}, {shape[0]});
  check.weight({"dlogits_sc", args.dlogits_sc}, shape);
  check.that(shape[1] > 0 || shape[0] == 0, "logits_sc " + to_string(shape) + " has no classes");
  check.that(args.label_smoothing >= 0.0 && args.label_smoothing <= 1.0,
             "label_smoothing = " + std::to_string(args.label_smoothing) + " is outside [0, 1]");
  check.outputs_apart({"loss_s", args.loss_s}, {logits, label, class_weight});
  check.apart_or_same({"dlogits_sc", args.dlogits_sc}, logits);
  check.outputs_apart({"dlogits_sc", args.dlogits_sc}, {label, class_weight, {"loss_s", args.loss_s}});
  if (args.label_s.device().kind == DeviceKind::cpu) {
    for (std::int64_t s = 0; s < shape[0]; ++s) {
      const std::int32_t value = args.label_s.as<std::int32_t>()[s];
      check.that(value >= 0 && value < shape[1], "label_s[" + std::to_string(s) + "] = " + std::to_string(value) +
                                                     " is outside [0, " + std::to_string(shape[1]) + ")");
    }
  }
  if (shape[0] > 0) backend.do_cross_entropy(args);
}

}  // namespace strandline::ops
