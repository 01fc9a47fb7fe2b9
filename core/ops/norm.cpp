#include "core/ops/norm.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

// What the gated norm and its gradient have in common. @returns the shape (T, D)
template <class Args>
Shape check_gated(const Check& check, const Args& args) {
  check.present({"x_td", args.x_td}, 2);
  check.present({"z_td", args.z_td}, 2);
  check.present({"weight_d", args.weight_d}, 1);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.activation({"z_td", args.z_td}, shape);
  check.weight({"weight_d", args.weight_d}, {shape[1]});
  check.that(args.groups > 0 && shape[1] % args.groups == 0,
             "groups = " + std::to_string(args.groups) + " does not divide the channels of x_td " + to_string(shape));
  check.that(args.eps >= 0.0, "eps is negative");
  return shape;
}

}  // namespace

void rms_norm(Backend& backend, const RmsNormArgs& args) {
  const Check check("rms_norm", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_d", args.weight_d}, 1);
  check.present({"y_td", args.y_td}, 2);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.weight({"weight_d", args.weight_d}, {shape[1]});
  check.activation({"y_td", args.y_td}, shape);
  check.that(args.eps >= 0.0, "eps is negative");
  check.apart_or_same({"y_td", args.y_td}, {"x_td", args.x_td});
  check.apart({"y_td", args.y_td}, {"weight_d", args.weight_d});
  if (shape.elements() > 0) backend.do_rms_norm(args);
}

void rms_norm_backward(Backend& backend, const RmsNormBackwardArgs& args) {
  const Check check("rms_norm_backward", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_d", args.weight_d}, 1);
  check.present({"dy_td", args.dy_td}, 2);
  const Shape shape = args.x_td.shape();
  const NamedView x{"x_td", args.x_td};
  const NamedView weight{"weight_d", args.weight_d};
  const NamedView dy{"dy_td", args.dy_td};
  check.activation(x, shape);
  check.weight(weight, {shape[1]});
  check.activation(dy, shape);
  check.activation({"dx_td", args.dx_td}, shape);
  check.weight({"dweight_d", args.dweight_d}, {shape[1]});
  check.that(args.eps >= 0.0, "eps is negative");
  check.outputs_apart({"dx_td", args.dx_td}, {x, weight, dy});
  check.outputs_apart({"dweight_d", args.dweight_d}, {x, weight, dy, {"dx_td", args.dx_td}});
  if (shape.elements() > 0) backend.do_rms_norm_backward(args);
}

void gated_rms_norm(Backend& backend, const GatedRmsNormArgs& args) {
  const Check check("gated_rms_norm", backend);
  const Shape shape = check_gated(check, args);
  check.present({"y_td", args.y_td}, 2);
  check.activation({"y_td", args.y_td}, shape);
  check.apart_or_same({"y_td", args.y_td}, {"x_td", args.x_td});
  check.outputs_apart({"y_td", args.y_td}, {{"z_td", args.z_td}, {"weight_d", args.weight_d}});
  if (shape.elements() > 0) backend.do_gated_rms_norm(args);
}

void gated_rms_norm_backward(Backend& backend, const GatedRmsNormBackwardArgs& args) {
  const Check check("gated_rms_norm_backward", backend);
  const Shape shape = check_gated(check, args);
  const NamedView x{"x_td", args.x_td};
  const NamedView z{"z_td", args.z_td};
  const NamedView weight{"weight_d", args.weight_d};
  const NamedView dy{"dy_td", args.dy_td};
  check.present(dy, 2);
  check.activation(dy, shape);
  check.activation({"dx_td", args.dx_td}, shape);
  check.activation({"dz_td", args.dz_td}, shape);
  check.weight({"dweight_d", args.dweight_d}, {shape[1]});
  check.outputs_apart({"dx_td", args.dx_td}, {x, z, weight, dy});
  check.outputs_apart({"dz_td", args.dz_td}, {x, z, weight, dy, {"dx_td", args.dx_td}});
  check.outputs_apart({"dweight_d", args.dweight_d}, {x, z, weight, dy, {"dx_td", args.dx_td}, {"dz_td", args.dz_td}});
  if (shape.elements() > 0) backend.do_gated_rms_norm_backward(args);
}

}  // namespace strandline::ops
