#include "core/ops/elementwise.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {

void add(Backend& backend, ConstView x, View y) {
  const Check check("add", backend);
  check.that(static_cast<bool>(x), "x is absent");
  check.present({"y", y}, x.rank());
  // Activations, or the residual stream and states, which are in the accumulation type: both operands alike.
  check.that(x.dtype() == backend.dtype() || x.dtype() == backend.accumulate_dtype(),
             "x " + to_string(x.shape()) + " holds " + std::string(name_of(x.dtype())) + ", which " + backend.name() +
                 " does not compute in");
  check.tensor({"x", x}, x.shape(), x.dtype());
  check.tensor({"y", y}, x.shape(), x.dtype());
  check.apart({"y", y}, {"x", x});
  if (x.elements() > 0) backend.do_add(x, y);
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
