#include "core/ops/conv1d.hpp"

#include "core/backend.hpp"
#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

struct Sizes {
  std::int64_t sequences;
  std::int64_t taps;
  Shape x_tc;
  Shape state_skc;
};

/// What forward and backward share: the inputs, judged by x (T, C) and weight (C, K).
template <class Args>
Sizes check_inputs(const Check& check, const Args& args) {
  check.present({"x", args.x_tc}, 2);
  check.present({"weight", args.weight_ck}, 2);
  const Shape x_tc = args.x_tc.shape();
  const std::int64_t taps = args.weight_ck.size(1);
  check.that(taps >= 2 && taps <= 8, "weight " + to_string(args.weight_ck.shape()) + " has not 2 to 8 taps");
  check.activation({"x", args.x_tc}, x_tc);
  check.weight({"weight", args.weight_ck}, {x_tc[1], taps});
  check.weight({"bias", args.bias_c}, {x_tc[1]});
  const std::int64_t sequences = check.sequences(args.seq_begin, x_tc[0]);
  const Sizes sizes{sequences, taps, x_tc, {sequences, taps - 1, x_tc[1]}};
  check.weight({"initial_state", args.initial_state_skc}, sizes.state_skc);
  return sizes;
}

}  // namespace

void conv1d(Backend& backend, const Conv1dArgs& args) {
  const Check check("conv1d", backend);
  const Sizes sizes = check_inputs(check, args);
  check.present({"y", args.y_tc}, 2);
  check.activation({"y", args.y_tc}, sizes.x_tc);
  check.weight({"final_state", args.final_state_skc}, sizes.state_skc);
  for (const NamedView& output : {NamedView{"y", args.y_tc}, NamedView{"final_state", args.final_state_skc}}) {
    for (const NamedView& input :
         {NamedView{"x", args.x_tc}, NamedView{"weight", args.weight_ck}, NamedView{"bias", args.bias_c},
          NamedView{"initial_state", args.initial_state_skc}}) {
      check.apart(output, input);
    }
  }
  check.apart({"y", args.y_tc}, {"final_state", args.final_state_skc});
  backend.do_conv1d(args);
}

void conv1d_backward(Backend& backend, const Conv1dBackwardArgs& args) {
  const Check check("conv1d_backward", backend);
  const Sizes sizes = check_inputs(check, args);
  const std::int64_t channels = sizes.x_tc[1];
  check.present({"dy", args.dy_tc}, 2);
  check.activation({"dy", args.dy_tc}, sizes.x_tc);
  check.weight({"dfinal_state", args.dfinal_state_skc}, sizes.state_skc);
  check.activation({"dx", args.dx_tc}, sizes.x_tc);
  check.weight({"dweight", args.dweight_ck}, {channels, sizes.taps});
  check.weight({"dbias", args.dbias_c}, {channels});
  check.weight({"dinitial_state", args.dinitial_state_skc}, sizes.state_skc);
  const std::initializer_list<NamedView> inputs = {{"x", args.x_tc},      {"weight", args.weight_ck},
                                                   {"bias", args.bias_c}, {"initial_state", args.initial_state_skc},
                                                   {"dy", args.dy_tc},    {"dfinal_state", args.dfinal_state_skc}};
  const std::initializer_list<NamedView> outputs = {{"dx", args.dx_tc},
                                                    {"dweight", args.dweight_ck},
                                                    {"dbias", args.dbias_c},
                                                    {"dinitial_state", args.dinitial_state_skc}};
  for (const NamedView* output = outputs.begin(); output != outputs.end(); ++output) {
    for (const NamedView& input : inputs) check.apart(*output, input);
    for (const NamedView* other = output + 1; other != outputs.end(); ++other) check.apart(*output, *other);
  }
  backend.do_conv1d_backward(args);
}

}  // namespace strandline::ops
