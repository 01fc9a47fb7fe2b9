#include "core/ops/grid_conv.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

// What forward and backward have in common. @returns the shape (T, D)
template <class Args>
Shape check_grid(const Check& check, const Args& args) {
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_gkl", args.weight_gkl}, 3);
  const Shape shape = args.x_td.shape();
  const Shape weight = args.weight_gkl.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.weight({"weight_gkl", args.weight_gkl}, weight);
  check.that(args.weight_gkl.is_dense(), "weight_gkl is not dense");
  check.that(weight[0] > 0 && shape[1] % weight[0] == 0, "the groups of weight_gkl " + to_string(weight) +
                                                             " do not divide the channels of x_td " + to_string(shape));
  check.that(weight[1] % 2 == 1 && weight[2] % 2 == 1,
             "weight_gkl " + to_string(weight) + " has an even number of taps");
  check.that(args.columns > 0 && shape[0] % args.columns == 0,
             "columns = " + std::to_string(args.columns) + " does not divide the tokens of x_td " + to_string(shape));
  return shape;
}

}  // namespace

void grid_conv(Backend& backend, const GridConvArgs& args) {
  const Check check("grid_conv", backend);
  const Shape shape = check_grid(check, args);
  check.present({"y_td", args.y_td}, 2);
  check.weight({"bias_d", args.bias_d}, {shape[1]});
  check.activation({"y_td", args.y_td}, shape);
  check.outputs_apart({"y_td", args.y_td},
                      {{"x_td", args.x_td}, {"weight_gkl", args.weight_gkl}, {"bias_d", args.bias_d}});
  if (shape.elements() > 0) backend.do_grid_conv(args);
}

void grid_conv_backward(Backend& backend, const GridConvBackwardArgs& args) {
  const Check check("grid_conv_backward", backend);
  const Shape shape = check_grid(check, args);
  const NamedView x{"x_td", args.x_td};
  const NamedView weight{"weight_gkl", args.weight_gkl};
  const NamedView dy{"dy_td", args.dy_td};
  const NamedView dx{"dx_td", args.dx_td};
  const NamedView dweight{"dweight_gkl", args.dweight_gkl};
  check.present(dy, 2);
  check.activation(dy, shape);
  check.activation(dx, shape);
  check.weight(dweight, args.weight_gkl.shape());
  check.that(!args.dweight_gkl || args.dweight_gkl.is_dense(), "dweight_gkl is not dense");
  check.weight({"dbias_d", args.dbias_d}, {shape[1]});
  check.outputs_apart(dx, {x, weight, dy});
  check.outputs_apart(dweight, {x, weight, dy, dx});
  check.outputs_apart({"dbias_d", args.dbias_d}, {x, weight, dy, dx, dweight});
  if (shape.elements() > 0) backend.do_grid_conv_backward(args);
}

}  // namespace strandline::ops
