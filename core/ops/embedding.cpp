#include "core/ops/embedding.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

void check_ids(const Check& check, const ConstView& ids_t, std::int64_t vocabulary) {
  if (ids_t.device().kind != DeviceKind::cpu) return;
  const auto* ids = ids_t.as<std::int32_t>();
  for (std::int64_t t = 0; t < ids_t.size(0); ++t) {
    check.that(ids[t] >= 0 && ids[t] < vocabulary, "ids_t[" + std::to_string(t) + "] = " + std::to_string(ids[t]) +
                                                       " is outside [0, " + std::to_string(vocabulary) + ")");
  }
}

}  // namespace

void embedding(Backend& backend, const EmbeddingArgs& args) {
  const Check check("embedding", backend);
  check.present({"ids_t", args.ids_t}, 1);
  check.present({"table_vd", args.table_vd}, 2);
  check.present({"y_td", args.y_td}, 2);
  const std::int64_t tokens = args.ids_t.size(0);
  check.tensor({"ids_t", args.ids_t}, {tokens}, DType::i32);
  check.weight({"table_vd", args.table_vd}, args.table_vd.shape());
  check.activation({"y_td", args.y_td}, {tokens, args.table_vd.size(1)});
  check.outputs_apart({"y_td", args.y_td}, {{"ids_t", args.ids_t}, {"table_vd", args.table_vd}});
  check_ids(check, args.ids_t, args.table_vd.size(0));
  if (args.y_td.elements() > 0) backend.do_embedding(args);
}

void embedding_backward(Backend& backend, const EmbeddingBackwardArgs& args) {
  const Check check("embedding_backward", backend);
  check.present({"ids_t", args.ids_t}, 1);
  check.present({"dy_td", args.dy_td}, 2);
  check.present({"dtable_vd", args.dtable_vd}, 2);
  const std::int64_t tokens = args.ids_t.size(0);
  check.tensor({"ids_t", args.ids_t}, {tokens}, DType::i32);
  check.weight({"dtable_vd", args.dtable_vd}, args.dtable_vd.shape());
  check.activation({"dy_td", args.dy_td}, {tokens, args.dtable_vd.size(1)});
  check.outputs_apart({"dtable_vd", args.dtable_vd}, {{"ids_t", args.ids_t}, {"dy_td", args.dy_td}});
  check_ids(check, args.ids_t, args.dtable_vd.size(0));
  if (args.dy_td.elements() > 0) backend.do_embedding_backward(args);
}

}  // namespace strandline::ops
