#include "core/cpu/embedding_cpu.hpp"

#include "core/cpu/rows.hpp"

namespace strandline::cpu {

void embedding(CpuContext& context, const ops::EmbeddingArgs& args) {
  const auto* ids = args.ids_t.as<std::int32_t>();
  const auto* table = args.table_vd.as<float>();
  auto* y = args.y_td.as<float>();
  const std::int64_t channels = args.y_td.size(1);
  for_rows(context, args.y_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::copy_n(table + ids[t] * args.table_vd.stride(0), channels, y + t * args.y_td.stride(0));
    }
  });
}

// Each thread takes some columns of the whole table, so that every sum runs over the tokens in order. In double,
// because with 16 letters and a million tokens one row gathers 60,000 terms and more.
void embedding_backward(CpuContext& context, const ops::EmbeddingBackwardArgs& args) {
  constexpr std::int64_t kScratchElements = 1 << 17;
  const std::int64_t vocabulary = args.dtable_vd.size(0);
  const std::int64_t columns = std::clamp<std::int64_t>(kScratchElements / vocabulary, 1, 64);
  const auto* ids = args.ids_t.as<std::int32_t>();
  const auto* dy = args.dy_td.as<float>();
  auto* dtable = args.dtable_vd.as<float>();
  for_row_blocks(context, args.dtable_vd.size(1), columns, [&](std::int64_t begin, std::int64_t end, int worker) {
    Workspace& scratch = context.scratch[static_cast<std::size_t>(worker)];
    const Workspace::Scope scope(scratch);
    const std::int64_t width = end - begin;
    auto* sum = scratch.take_zeros(DType::f64, {vocabulary, width}).as<double>();
    for (std::int64_t t = 0; t < args.dy_td.size(0); ++t) {
      const float* row = dy + t * args.dy_td.stride(0) + begin;
      double* to = sum + ids[t] * width;
      for (std::int64_t d = 0; d < width; ++d) to[d] += static_cast<double>(row[d]);
    }
    for (std::int64_t id = 0; id < vocabulary; ++id) {
      float* row = dtable + id * args.dtable_vd.stride(0) + begin;
      for (std::int64_t d = 0; d < width; ++d) row[d] += static_cast<float>(sum[id * width + d]);
    }
  });
}

}  // namespace strandline::cpu
