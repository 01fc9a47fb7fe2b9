#include "tests/core/model_fixture.hpp"

#include "core/base/philox.hpp"
#include "core/model/initialise.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline::testing {

EncoderConfig tiny_encoder() {
  return {.vocab_size = 7,
          .d_model = 6,
          .layers = 2,
          .d_state = 5,
          .d_conv = 3,
          .expand = 2,
          .headdim = 3,
          .groups = 2,
          .chunk = 4};
}

ClassifierConfig tiny_classifier() { return {.encoder = tiny_encoder(), .classes = 3, .pooling = Pooling::mean}; }

EncoderConfig tiny_bidirectional(bool tied, Combine combine) {
  EncoderConfig config = tiny_encoder();
  config.direction = Direction::bidirectional;
  config.tied_projections = tied;
  config.combine = combine;
  return config;
}

MilConfig tiny_mil(MilKind kind) {
  MilConfig config = published_config(kind, 10, 3);
  config.d_model = 12;
  config.attention_width = 7;
  config.d_state = 6;
  config.headdim = 8;
  config.chunk = 4;
  config.instance_patches = 3;
  config.heads = 3;
  config.landmarks = 4;
  config.residual_taps = 5;
  return config;
}

std::vector<std::int32_t> random_ids(std::int64_t count, std::int64_t vocab_size, std::uint64_t seed) {
  RandomStream random(seed, 1);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab_size)));
  return ids;
}

PackedBatch random_pack(std::span<const std::int64_t> lengths, std::int64_t vocab_size, std::uint64_t seed) {
  PackedBatch batch;
  for (const std::int64_t length : lengths) batch.add(random_ids(length, vocab_size, seed++));
  return batch;
}

void scramble(const EncoderConfig& config, std::uint64_t seed, Weights& weights) {
  initialise(config, seed, weights);
  std::uint64_t stream = 1000;
  for (const WeightSpec& spec : weights.layout().specs()) {
    RandomStream random(seed, stream++);
    std::vector<float> values = weights.get(spec.name);
    for (float& value : values) value += static_cast<float>(0.3 * random.normal());
    weights.set(spec.name, values);
  }
}

std::vector<float> hidden_of(Encoder& encoder, const PackedBatch& batch) {
  Backend& backend = encoder.backend();
  const Workspace::Scope scope(encoder.workspace());
  const View hidden_td =
      encoder.workspace().take(backend.accumulate_dtype(), {batch.tokens(), encoder.config().d_model});
  encoder.forward(batch, hidden_td);
  backend.synchronize();
  std::vector<float> values(static_cast<std::size_t>(hidden_td.elements()));
  download_values(backend.memory(), hidden_td, values);
  return values;
}

std::vector<float> logits_of(Classifier& classifier, const PackedBatch& batch) {
  std::vector<float> logits(static_cast<std::size_t>(batch.sequences() * classifier.config().classes));
  classifier.predict(batch, logits);
  return logits;
}

std::vector<float> rows_of(const PackedBatch& batch, const std::vector<float>& values, std::size_t s) {
  const auto width = static_cast<std::ptrdiff_t>(values.size()) / batch.tokens();
  return {values.begin() + batch.seq_begin()[s] * width, values.begin() + batch.seq_begin()[s + 1] * width};
}

PackedBatch pack_of(std::span<const std::int32_t> ids) {
  PackedBatch batch;
  batch.add(ids);
  return batch;
}

std::span<const std::int32_t> ids_of(const PackedBatch& batch, std::size_t s) {
  const std::int64_t begin = batch.seq_begin()[s];
  return batch.ids().subspan(static_cast<std::size_t>(begin),
                             static_cast<std::size_t>(batch.seq_begin()[s + 1] - begin));
}

}  // namespace strandline::testing
