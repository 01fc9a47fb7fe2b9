#include "core/ops/layer_norm.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void layer_norm(Backend& backend, const LayerNormArgs& args) {
  const Check check("layer_norm", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_d", args.weight_d}, 1);
  check.present({"bias_d", args.bias_d}, 1);
  check.present({"y_td", args.y_td}, 2);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.weight({"weight_d", args.weight_d}, {shape[1]});
  check.weight({"bias_d", args.bias_d}, {shape[1]});
  check.activation({"y_td", args.y_td}, shape);
  check.that(args.eps >= 0.0, "eps is negative");
  check.apart_or_same({"y_td", args.y_td}, {"x_td", args.x_td});
  check.outputs_apart({"y_td", args.y_td}, {{"weight_d", args.weight_d}, {"bias_d", args.bias_d}});
  if (shape.elements() > 0) backend.do_layer_norm(args);
}

void layer_norm_backward(Backend& backend, const LayerNormBackwardArgs& args) {
  const Check check("layer_norm_backward", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_d", args.weight_d}, 1);
  check.present({"dy_td", args.dy_td}, 2);
  const Shape shape = args.x_td.shape();
  const NamedView x{"x_td", args.x_td};
  const NamedView weight{"weight_d", args.weight_d};
  const NamedView dy{"dy_td", args.dy_td};
  const NamedView dx{"dx_td", args.dx_td};
  const NamedView dweight{"dweight_d", args.dweight_d};
  check.activation(x, shape);
  check.weight(weight, {shape[1]});
  check.activation(dy, shape);
  check.activation(dx, shape);
  check.weight(dweight, {shape[1]});
  check.weight({"dbias_d", args.dbias_d}, {shape[1]});
  check.that(args.eps >= 0.0, "eps is negative");
  check.outputs_apart(dx, {x, weight, dy});
  check.outputs_apart(dweight, {x, weight, dy, dx});
  check.outputs_apart({"dbias_d", args.dbias_d}, {x, weight, dy, dx, dweight});
  if (shape.elements() > 0) backend.do_layer_norm_backward(args);
}

}  // namespace strandline::ops
