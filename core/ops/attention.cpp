#include "core/ops/attention.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

// What forward and backward have in common. @returns the sequences
std::int64_t check_inputs(const Check& check, const AttentionArgs& args) {
  check.present({"q_thp", args.q_thp}, 3);
  check.present({"k_uhp", args.k_uhp}, 3);
  check.present({"v_uhp", args.v_uhp}, 3);
  check.present({"y_thp", args.y_thp}, 3);
  const Shape query = args.q_thp.shape();
  const Shape key{args.k_uhp.size(0), query[1], query[2]};
  check.activation({"q_thp", args.q_thp}, query);
  check.activation({"k_uhp", args.k_uhp}, key);
  check.activation({"v_uhp", args.v_uhp}, key);
  check.activation({"y_thp", args.y_thp}, query);
  check.weight({"log_sum_th", args.log_sum_th}, {query[0], query[1]});
  const std::int64_t sequences = check.sequences(args.query_begin, query[0]);
  const std::int64_t of_keys = check.sequences(args.key_begin, key[0]);
  check.that(sequences == of_keys,
             "query_begin names " + std::to_string(sequences) + " sequences, key_begin " + std::to_string(of_keys));
  return sequences;
}

}  // namespace

void attention(Backend& backend, const AttentionArgs& args) {
  const Check check("attention", backend);
  check_inputs(check, args);
  const NamedView q{"q_thp", args.q_thp};
  const NamedView k{"k_uhp", args.k_uhp};
  const NamedView v{"v_uhp", args.v_uhp};
  check.outputs_apart({"y_thp", args.y_thp}, {q, k, v});
  check.outputs_apart({"log_sum_th", args.log_sum_th}, {q, k, v, {"y_thp", args.y_thp}});
  if (args.y_thp.elements() > 0) backend.do_attention(args);
}

void attention_backward(Backend& backend, const AttentionBackwardArgs& args) {
  const Check check("attention_backward", backend);
  check_inputs(check, args.forward);
  check.present({"log_sum_th", args.forward.log_sum_th}, 2);
  check.present({"dy_thp", args.dy_thp}, 3);
  const Shape query = args.forward.q_thp.shape();
  const Shape key = args.forward.k_uhp.shape();
  const NamedView q{"q_thp", args.forward.q_thp};
  const NamedView k{"k_uhp", args.forward.k_uhp};
  const NamedView v{"v_uhp", args.forward.v_uhp};
  const NamedView y{"y_thp", args.forward.y_thp};
  const NamedView log_sum{"log_sum_th", args.forward.log_sum_th};
  const NamedView dy{"dy_thp", args.dy_thp};
  const NamedView dq{"dq_thp", args.dq_thp};
  const NamedView dk{"dk_uhp", args.dk_uhp};
  check.activation(dy, query);
  check.activation(dq, query);
  check.activation(dk, key);
  check.activation({"dv_uhp", args.dv_uhp}, key);
  check.outputs_apart(dq, {q, k, v, y, log_sum, dy});
  check.outputs_apart(dk, {q, k, v, y, log_sum, dy, dq});
  check.outputs_apart({"dv_uhp", args.dv_uhp}, {q, k, v, y, log_sum, dy, dq, dk});
  if (query.elements() + key.elements() > 0) backend.do_attention_backward(args);
}

void softmax(Backend& backend, const SoftmaxArgs& args) {
  const Check check("softmax", backend);
  check.present({"x_tc", args.x_tc}, 2);
  check.present({"y_tc", args.y_tc}, 2);
  const Shape shape = args.x_tc.shape();
  check.activation({"x_tc", args.x_tc}, shape);
  check.activation({"y_tc", args.y_tc}, shape);
  check.apart_or_same({"y_tc", args.y_tc}, {"x_tc", args.x_tc});
  if (shape.elements() > 0) backend.do_softmax(args);
}

void softmax_backward(Backend& backend, const SoftmaxBackwardArgs& args) {
  const Check check("softmax_backward", backend);
  check.present({"y_tc", args.y_tc}, 2);
  check.present({"dy_tc", args.dy_tc}, 2);
  check.present({"dx_tc", args.dx_tc}, 2);
  const Shape shape = args.y_tc.shape();
  check.activation({"y_tc", args.y_tc}, shape);
  check.activation({"dy_tc", args.dy_tc}, shape);
  check.activation({"dx_tc", args.dx_tc}, shape);
  check.apart({"dx_tc", args.dx_tc}, {"y_tc", args.y_tc});
  check.apart_or_same({"dx_tc", args.dx_tc}, {"dy_tc", args.dy_tc});
  if (shape.elements() > 0) backend.do_softmax_backward(args);
}

}  // namespace strandline::ops
