#include "pipelines/run/predict.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "pipelines/run/prediction_writer.hpp"

namespace strandline {
namespace {

EncodeOptions resolve(const PredictOptions& options, const ModelMetadata& metadata) {
  EncodeOptions encode = options.encode;
  encode.windows = {options.window.value_or(metadata.training_window), options.stride};
  encode.windows.validate();
  encode.read.keep_alignments = !options.output_bam.empty();
  return encode;
}

}  // namespace

PredictSummary predict(LoadedClassifier& model, const PredictOptions& options, const RunControl& control) {
  if (!model.has_head()) {
    throw DataError({.file = options.model}, "the model has no classification head, only an encoder",
                    "Use 'strandline dna embed', or train a head with 'strandline dna train'");
  }
  const EncodeOptions encode = resolve(options, model.metadata);
  const auto stream = open_sequences(encode.input, encode.read);
  PredictionWriter writer(options, model.metadata.class_names, *stream);

  PredictSummary summary;
  const EncodeJob job{*stream, *model.classifier, RowKind::probabilities, !options.classified_out.empty()};
  summary.done = encode_records(job, encode, control,
                                [&](const DnaRecord& record, WeightedMean& mean) { writer.write(record, mean); });
  writer.commit();
  summary.read = stream->counts();
  summary.format = stream->format();
  summary.windows = encode.windows;
  summary.per_class = writer.per_class();
  summary.without_label = writer.without_label();
  return summary;
}

}  // namespace strandline
