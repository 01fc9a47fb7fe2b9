#include "pipelines/run/embed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/version.hpp"
#include "io/features/embedding_file.hpp"
#include "pipelines/run/config_json.hpp"

namespace strandline {
namespace {

std::string describe_pooling(Pooling pooling, const WindowOptions& windows) {
  const std::string name(name_of(pooling));
  if (windows.window == 0) return name;
  const std::int64_t stride = windows.stride > 0 ? windows.stride : windows.window;
  return fmt::format("{} over windows of {} bases, stride {}, then their mean weighted by known bases", name,
                     windows.window, stride);
}

}  // namespace

EmbedSummary embed(LoadedClassifier& model, const EmbedOptions& options, const RunControl& control) {
  options.encode.windows.validate();
  const auto stream = open_sequences(options.encode.input, options.encode.read);
  const ClassifierConfig& config = model.classifier->config();
  const auto writer =
      make_embedding_writer(options.output, {.width = config.encoder.d_model,
                                             .model_hash = model.hash,
                                             .pooling = describe_pooling(config.pooling, options.encode.windows),
                                             .program_version = kVersion});
  EmbedSummary summary;
  std::vector<float> row(static_cast<std::size_t>(config.encoder.d_model));
  const EncodeJob job{*stream, *model.classifier, RowKind::embedding, false};
  summary.done = encode_records(job, options.encode, control, [&](const DnaRecord& record, WeightedMean& mean) {
    if (record.note.empty()) {
      const std::span<const double> values = mean.mean();
      std::transform(values.begin(), values.end(), row.begin(), [](double value) { return static_cast<float>(value); });
    } else {
      std::fill(row.begin(), row.end(), std::numeric_limits<float>::quiet_NaN());
      ++summary.without_embedding;
    }
    writer->append(record.name, row);
  });
  writer->commit();
  summary.read = stream->counts();
  summary.format = stream->format();
  return summary;
}

}  // namespace strandline
