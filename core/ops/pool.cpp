#include "core/ops/pool.hpp"

#include <string>

#include "core/ops/check.hpp"

namespace strandline::ops {

void pool(Backend& backend, const PoolArgs& args) {
  const Check check("pool", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"y_sd", args.y_sd}, 2);
  const std::int64_t sequences = check.sequences(args.seq_begin, args.x_td.size(0));
  check.activation({"x_td", args.x_td}, args.x_td.shape());
  check.activation({"y_sd", args.y_sd}, {sequences, args.x_td.size(1)});
  check.apart({"y_sd", args.y_sd}, {"x_td", args.x_td});
  if (args.y_sd.elements() > 0) backend.do_pool(args);
}

void pool_piece(Backend& backend, const PoolPieceArgs& args) {
  const Check check("pool_piece", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"state_kd", args.state_kd}, 2);
  const std::int64_t channels = args.x_td.size(1);
  const NamedView state{"state_kd", args.state_kd};
  const NamedView y{"y_sd", args.y_sd};
  check.that(args.tokens_before >= 0, "tokens_before is " + std::to_string(args.tokens_before));
  check.activation({"x_td", args.x_td}, args.x_td.shape());
  check.tensor(state, {kPoolStateRows, channels}, DType::f64);
  check.activation(y, {1, channels});
  check.apart(state, {"x_td", args.x_td});
  check.outputs_apart(y, {{"x_td", args.x_td}, state});
  if (channels > 0) backend.do_pool_piece(args);
}

void pool_backward(Backend& backend, const PoolBackwardArgs& args) {
  const Check check("pool_backward", backend);
  check.present({"dx_td", args.dx_td}, 2);
  check.present({"dy_sd", args.dy_sd}, 2);
  if (args.kind == PoolKind::max) check.present({"x_td", args.x_td}, 2);
  const Shape shape = args.dx_td.shape();
  const std::int64_t sequences = check.sequences(args.seq_begin, shape[0]);
  check.activation({"x_td", args.x_td}, shape);
  check.activation({"dx_td", args.dx_td}, shape);
  check.activation({"dy_sd", args.dy_sd}, {sequences, shape[1]});
  check.outputs_apart({"dx_td", args.dx_td}, {{"x_td", args.x_td}, {"dy_sd", args.dy_sd}});
  if (shape.elements() > 0) backend.do_pool_backward(args);
}

void attention_pool(Backend& backend, const AttentionPoolArgs& args) {
  const Check check("attention_pool", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"score_t", args.score_t}, 1);
  check.present({"y_sd", args.y_sd}, 2);
  check.present({"weight_t", args.weight_t}, 1);
  const Shape shape = args.x_td.shape();
  const std::int64_t sequences = check.sequences(args.seq_begin, shape[0]);
  const NamedView x{"x_td", args.x_td};
  const NamedView score{"score_t", args.score_t};
  check.activation(x, shape);
  check.activation(score, {shape[0]});
  check.activation({"y_sd", args.y_sd}, {sequences, shape[1]});
  check.activation({"weight_t", args.weight_t}, {shape[0]});
  check.outputs_apart({"y_sd", args.y_sd}, {x, score});
  check.outputs_apart({"weight_t", args.weight_t}, {x, score, {"y_sd", args.y_sd}});
  if (sequences > 0) backend.do_attention_pool(args);
}

void attention_pool_backward(Backend& backend, const AttentionPoolBackwardArgs& args) {
  const Check check("attention_pool_backward", backend);
  check.present({"x_td", args.x_td}, 2);
  check.present({"weight_t", args.weight_t}, 1);
  check.present({"dy_sd", args.dy_sd}, 2);
  check.present({"dx_td", args.dx_td}, 2);
  check.present({"dscore_t", args.dscore_t}, 1);
  const Shape shape = args.x_td.shape();
  const std::int64_t sequences = check.sequences(args.seq_begin, shape[0]);
  const NamedView x{"x_td", args.x_td};
  const NamedView weight{"weight_t", args.weight_t};
  const NamedView dy{"dy_sd", args.dy_sd};
  check.activation(x, shape);
  check.activation(weight, {shape[0]});
  check.activation(dy, {sequences, shape[1]});
  check.activation({"dx_td", args.dx_td}, shape);
  check.activation({"dscore_t", args.dscore_t}, {shape[0]});
  check.outputs_apart({"dx_td", args.dx_td}, {x, weight, dy});
  check.outputs_apart({"dscore_t", args.dscore_t}, {x, weight, dy, {"dx_td", args.dx_td}});
  if (shape[0] > 0) backend.do_attention_pool_backward(args);
}

}  // namespace strandline::ops
