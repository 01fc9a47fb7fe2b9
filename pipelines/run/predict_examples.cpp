#include "pipelines/run/predict_examples.hpp"

#include <vector>

#include "core/base/error.hpp"

namespace strandline {
namespace {

void flush(Classifier& classifier, PackedBatch& batch, std::vector<float>& logits, Predictions& out) {
  if (batch.sequences() == 0) return;
  logits.resize(static_cast<std::size_t>(batch.sequences() * classifier.config().classes));
  classifier.predict(batch, logits);
  append_softmax(logits, out);
  batch.clear();
}

}  // namespace

Predictions predict_examples(Classifier& classifier, const ExampleSource& examples, std::int64_t batch_tokens,
                             std::stop_token stop) {
  Predictions out;
  out.classes = classifier.config().classes;
  PackedBatch batch;
  std::vector<std::int32_t> ids;
  std::vector<float> logits;
  for (std::int64_t index = 0; index < examples.size(); ++index) {
    if (stop.stop_requested()) throw InterruptedError("stopped while judging the model");
    out.labels.push_back(examples.example(index, ids));
    if (batch.tokens() + static_cast<std::int64_t>(ids.size()) > batch_tokens) flush(classifier, batch, logits, out);
    batch.add(ids);
  }
  flush(classifier, batch, logits, out);
  return out;
}

}  // namespace strandline
