#include "core/ops/linear.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void linear(Backend& backend, const LinearArgs& args) {
  const Check check("linear", backend);
  check.present({"x_ti", args.x_ti}, 2);
  check.present({"weight_oi", args.weight_oi}, 2);
  check.present({"y_to", args.y_to}, 2);
  const std::int64_t tokens = args.x_ti.size(0);
  const std::int64_t inputs = args.x_ti.size(1);
  const std::int64_t outputs = args.weight_oi.size(0);
  check.activation({"x_ti", args.x_ti}, {tokens, inputs});
  check.weight({"weight_oi", args.weight_oi}, {outputs, inputs});
  check.weight({"bias_o", args.bias_o}, {outputs});
  check.activation({"y_to", args.y_to}, {tokens, outputs});
  check.outputs_apart({"y_to", args.y_to},
                      {{"x_ti", args.x_ti}, {"weight_oi", args.weight_oi}, {"bias_o", args.bias_o}});
  if (tokens > 0) backend.do_linear(args);
}

void linear_backward(Backend& backend, const LinearBackwardArgs& args) {
  const Check check("linear_backward", backend);
  check.present({"dy_to", args.dy_to}, 2);
  check.present({"weight_oi", args.weight_oi}, 2);
  if (args.dweight_oi) check.present({"x_ti", args.x_ti}, 2);
  const std::int64_t tokens = args.dy_to.size(0);
  const std::int64_t outputs = args.weight_oi.size(0);
  const std::int64_t inputs = args.weight_oi.size(1);
  check.activation({"x_ti", args.x_ti}, {tokens, inputs});
  check.weight({"weight_oi", args.weight_oi}, {outputs, inputs});
  check.activation({"dy_to", args.dy_to}, {tokens, outputs});
  check.activation({"dx_ti", args.dx_ti}, {tokens, inputs});
  check.weight({"dweight_oi", args.dweight_oi}, {outputs, inputs});
  check.weight({"dbias_o", args.dbias_o}, {outputs});
  const NamedView x{"x_ti", args.x_ti};
  const NamedView weight{"weight_oi", args.weight_oi};
  const NamedView dy{"dy_to", args.dy_to};
  check.outputs_apart({"dx_ti", args.dx_ti}, {x, weight, dy});
  check.outputs_apart({"dweight_oi", args.dweight_oi}, {x, weight, dy, {"dx_ti", args.dx_ti}});
  check.outputs_apart({"dbias_o", args.dbias_o},
                      {x, weight, dy, {"dx_ti", args.dx_ti}, {"dweight_oi", args.dweight_oi}});
  if (tokens > 0) backend.do_linear_backward(args);
}

}  // namespace strandline::ops
