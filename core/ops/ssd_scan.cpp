#include "core/ops/ssd_scan.hpp"

#include <array>

#include "core/backend.hpp"
#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

struct Shapes {
  Shape x_thp;
  Shape dt_th;
  Shape h;
  Shape b_tgn;
  Shape state_shpn;
};

/// The inputs, judged by x (T, H, P) and b (T, G, N).
Shapes check_inputs(const Check& check, const SsdScanArgs& args) {
  check.present({"x", args.x_thp}, 3);
  check.present({"dt", args.dt_th}, 2);
  check.present({"a_log", args.a_log_h}, 1);
  check.present({"b", args.b_tgn}, 3);
  check.present({"c", args.c_tgn}, 3);
  const Shape x = args.x_thp.shape();
  const Shape b = args.b_tgn.shape();
  check.that(x[1] > 0 && x[2] > 0, "x " + to_string(x) + " has no heads or no width");
  check.that(b[1] > 0 && b[2] > 0, "b " + to_string(b) + " has no groups or no states");
  check.that(x[1] % b[1] == 0, "b " + to_string(b) + " has groups that do not divide the heads of x " + to_string(x));
  check.that(args.chunk > 0, "chunk is " + std::to_string(args.chunk) + ", not positive");
  check.that(args.step.min >= 0.0 && args.step.min <= args.step.max, "step limits [" + std::to_string(args.step.min) +
                                                                         ", " + std::to_string(args.step.max) +
                                                                         "] are not 0 <= min <= max");
  const std::int64_t sequences = check.sequences(args.seq_begin, x[0]);
  const Shapes shapes{x, {x[0], x[1]}, {x[1]}, {x[0], b[1], b[2]}, {sequences, x[1], x[2], b[2]}};
  check.activation({"x", args.x_thp}, shapes.x_thp);
  check.activation({"dt", args.dt_th}, shapes.dt_th);
  check.weight({"a_log", args.a_log_h}, shapes.h);
  check.activation({"b", args.b_tgn}, shapes.b_tgn);
  check.activation({"c", args.c_tgn}, shapes.b_tgn);
  check.weight({"d", args.d_h}, shapes.h);
  check.weight({"dt_bias", args.dt_bias_h}, shapes.h);
  check.weight({"initial_state", args.initial_state_shpn}, shapes.state_shpn);
  return shapes;
}

std::array<NamedView, 8> inputs_of(const SsdScanArgs& args) {
  return {{{"x", args.x_thp},
           {"dt", args.dt_th},
           {"a_log", args.a_log_h},
           {"b", args.b_tgn},
           {"c", args.c_tgn},
           {"d", args.d_h},
           {"dt_bias", args.dt_bias_h},
           {"initial_state", args.initial_state_shpn}}};
}

/// No output shares a byte with an input or with another output.
void check_apart(const Check& check, std::span<const NamedView> outputs, std::span<const NamedView> inputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const NamedView& input : inputs) check.apart(outputs[i], input);
    for (std::size_t j = i + 1; j < outputs.size(); ++j) check.apart(outputs[i], outputs[j]);
  }
}

}  // namespace

void ssd_scan(Backend& backend, const SsdScanArgs& args) {
  const Check check("ssd_scan", backend);
  const Shapes shapes = check_inputs(check, args);
  check.present({"y", args.y_thp}, 3);
  check.activation({"y", args.y_thp}, shapes.x_thp);
  check.weight({"final_state", args.final_state_shpn}, shapes.state_shpn);
  const std::array<NamedView, 2> outputs{{{"y", args.y_thp}, {"final_state", args.final_state_shpn}}};
  check_apart(check, outputs, inputs_of(args));
  backend.do_ssd_scan(args);
}

void ssd_scan_backward(Backend& backend, const SsdScanBackwardArgs& args) {
  const Check check("ssd_scan_backward", backend);
  const Shapes shapes = check_inputs(check, args.forward);
  check.present({"dy", args.dy_thp}, 3);
  check.activation({"dy", args.dy_thp}, shapes.x_thp);
  check.weight({"dfinal_state", args.dfinal_state_shpn}, shapes.state_shpn);
  check.activation({"dx", args.dx_thp}, shapes.x_thp);
  check.activation({"ddt", args.ddt_th}, shapes.dt_th);
  check.weight({"da_log", args.da_log_h}, shapes.h);
  check.activation({"db", args.db_tgn}, shapes.b_tgn);
  check.activation({"dc", args.dc_tgn}, shapes.b_tgn);
  check.weight({"dd", args.dd_h}, shapes.h);
  check.weight({"ddt_bias", args.ddt_bias_h}, shapes.h);
  check.weight({"dinitial_state", args.dinitial_state_shpn}, shapes.state_shpn);
  const std::array<NamedView, 8> outputs{{{"dx", args.dx_thp},
                                          {"ddt", args.ddt_th},
                                          {"da_log", args.da_log_h},
                                          {"db", args.db_tgn},
                                          {"dc", args.dc_tgn},
                                          {"dd", args.dd_h},
                                          {"ddt_bias", args.ddt_bias_h},
                                          {"dinitial_state", args.dinitial_state_shpn}}};
  const std::array<NamedView, 2> gradients{{{"dy", args.dy_thp}, {"dfinal_state", args.dfinal_state_shpn}}};
  check_apart(check, outputs, inputs_of(args.forward));
  check_apart(check, outputs, gradients);
  backend.do_ssd_scan_backward(args);
}

}  // namespace strandline::ops
