#include "core/ops/elementwise.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

namespace {

// Activations, or the residual stream and states, which are in the accumulation type: both operands alike.
void check_pair(const Check& check, const Backend& backend, const NamedView& x, const NamedView& y) {
  const DType dtype = x.view.dtype();
  check.that(static_cast<bool>(x.view), std::string(x.name) + " is absent");
  check.present(y, x.view.rank());
  check.that(dtype == backend.dtype() || dtype == backend.accumulate_dtype(),
             std::string(x.name) + " " + to_string(x.view.shape()) + " holds " + std::string(name_of(dtype)) +
                 ", which " + backend.name() + " does not compute in");
  check.tensor(x, x.view.shape(), dtype);
  check.tensor(y, x.view.shape(), dtype);
  check.apart(y, x);
}

}  // namespace

void add(Backend& backend, ConstView x, View y) {
  check_pair(Check("add", backend), backend, {"x", x}, {"y", y});
  if (x.elements() > 0) backend.do_add(x, y);
}

void multiply(Backend& backend, ConstView x, View y) {
  check_pair(Check("multiply", backend), backend, {"x", x}, {"y", y});
  if (x.elements() > 0) backend.do_multiply(x, y);
}

void reverse_channels(Backend& backend, ConstView x_td, View y_td) {
  const Check check("reverse_channels", backend);
  check.present({"x_td", x_td}, 2);
  check_pair(check, backend, {"x_td", x_td}, {"y_td", y_td});
  if (x_td.elements() > 0) backend.do_reverse_channels(x_td, y_td);
}

void dropout(Backend& backend, const DropoutArgs& args) {
  const Check check("dropout", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"y_td", args.y_td}, 2);
  const Shape shape = args.x_td.shape();
  check.activation({"x_td", args.x_td}, shape);
  check.activation({"y_td", args.y_td}, shape);
  check.that(args.p >= 0.0 && args.p < 1.0, "p = " + std::to_string(args.p) + " is outside [0, 1)");
  check.that(args.first_row >= 0, "first_row = " + std::to_string(args.first_row) + " is negative");
  check.apart_or_same({"y_td", args.y_td}, {"x_td", args.x_td});
  if (shape.elements() > 0) backend.do_dropout(args);
}

}  // namespace strandline::ops
