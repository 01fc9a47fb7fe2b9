#include "core/ops/activation.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void activation(Backend& backend, const ActivationArgs& args) {
  const Check check("activation", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"y_td", args.y_td}, 2);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.activation({"y_td", args.y_td}, shape);
  check.apart_or_same({"y_td", args.y_td}, {"x_td", args.x_td});
  if (shape.elements() > 0) backend.do_activation(args);
}

void activation_backward(Backend& backend, const ActivationBackwardArgs& args) {
  const Check check("activation_backward", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"dy_td", args.dy_td}, 2);
  check.present({"dx_td", args.dx_td}, 2);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.activation({"dy_td", args.dy_td}, shape);
  check.activation({"dx_td", args.dx_td}, shape);
  check.apart({"dx_td", args.dx_td}, {"x_td", args.x_td});
  check.apart_or_same({"dx_td", args.dx_td}, {"dy_td", args.dy_td});
  if (shape.elements() > 0) backend.do_activation_backward(args);
}

}  // namespace strandline::ops
