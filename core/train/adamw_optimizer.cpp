#include "core/train/adamw_optimizer.hpp"

#include <cmath>
#include <string>

#include "core/backend.hpp"
#include "core/base/error.hpp"
#include "core/train/clipping.hpp"

namespace strandline {
namespace {

void require(bool holds, const char* option, double value, const char* wanted) {
  if (holds) return;
  throw ContractError(std::string("AdamW: ") + option + " is " + std::to_string(value) + "; it must be " + wanted);
}

AdamwOptions validated(const AdamwOptions& options) {
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1", options.beta1, "at least 0 and below 1");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2", options.beta2, "at least 0 and below 1");
  require(options.eps > 0 && std::isfinite(options.eps), "eps", options.eps, "positive and finite");
  require(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight_decay", options.weight_decay,
          "not negative and finite");
  require(options.max_norm >= 0 && std::isfinite(options.max_norm), "max_norm", options.max_norm,
          "positive, or 0 for no clipping");
  return options;
}

}  // namespace

AdamwOptimizer::AdamwOptimizer(const AdamwOptions& options, Backend& backend, Weights& weights)
    : options_(validated(options)),
      backend_(backend),
      weights_(weights),
      first_moment_(weights.layout(), backend),
      second_moment_(weights.layout(), backend) {}

OptimizerStepResult AdamwOptimizer::step(const OptimizerStepArgs& args) {
  const double norm = global_norm(backend_, args.gradients);
  if (!std::isfinite(norm) || !std::isfinite(args.loss)) return {.applied = false, .gradient_norm = norm};
  const std::int64_t decay_end = weights_.layout().decay_elements();
  const double grad_scale = clip_factor(norm, options_.max_norm);
  update(args, {.begin = 0, .end = decay_end, .weight_decay = options_.weight_decay, .grad_scale = grad_scale});
  update(args,
         {.begin = decay_end, .end = weights_.layout().elements(), .weight_decay = 0.0, .grad_scale = grad_scale});
  return {.applied = true, .gradient_norm = norm};
}

// Padding has zero weights and zero gradients, so it stays zero.
void AdamwOptimizer::update(const OptimizerStepArgs& args, const Group& group) {
  const auto part = [&](const Weights& all) { return all.flat().slice(0, group.begin, group.end); };
  ops::adamw(backend_, {.param_n = part(weights_),
                        .grad_n = part(args.gradients),
                        .m_n = part(first_moment_),
                        .v_n = part(second_moment_),
                        .learning_rate = args.learning_rate,
                        .beta1 = options_.beta1,
                        .beta2 = options_.beta2,
                        .eps = options_.eps,
                        .weight_decay = group.weight_decay,
                        .grad_scale = group.grad_scale,
                        .step = args.update});
}

}  // namespace strandline
