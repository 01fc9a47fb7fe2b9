#include "core/ops/adamw.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void adamw(Backend& backend, const AdamwArgs& args) {
  const Check check("adamw", backend);
  const NamedView param{"param_n", args.param_n};
  const NamedView grad{"grad_n", args.grad_n};
  const NamedView m{"m_n", args.m_n};
  const NamedView v{"v_n", args.v_n};
  for (const NamedView& each : {param, grad, m, v}) {
    check.present(each, 1);
    check.weight(each, {args.param_n.size(0)});
  }
  check.that(args.step >= 1, "step = " + std::to_string(args.step) + ", expected at least 1");
  check.that(
      args.beta1 >= 0.0 && args.beta1 < 1.0 && args.beta2 >= 0.0 && args.beta2 < 1.0,
      "beta1 = " + std::to_string(args.beta1) + " and beta2 = " + std::to_string(args.beta2) + " must lie in [0, 1)");
  check.outputs_apart(param, {grad, m, v});
  check.outputs_apart(m, {grad, v});
  check.apart(v, grad);
  if (args.param_n.size(0) > 0) backend.do_adamw(args);
}

double sum_of_squares(Backend& backend, ConstView x) {
  const Check check("sum_of_squares", backend);
  check.that(static_cast<bool>(x), "x is absent");
  check.tensor({"x", x}, x.shape(), backend.accumulate_dtype());
  check.that(x.is_dense(), "x " + to_string(x.shape()) + " is not dense");
  return x.elements() > 0 ? backend.do_sum_of_squares(x) : 0.0;
}

}  // namespace strandline::ops
