// What the model promises about memory. A program of its own, because it replaces the aligned operator new from which
// every tensor comes, and counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "core/cpu/cpu_backend.hpp"
#include "core/model/classifier.hpp"
#include "core/model/classifier_stream.hpp"
#include "tests/core/model_fixture.hpp"

namespace {
std::atomic<int> tensor_allocations{0};
}

void* operator new(std::size_t size_bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  ++tensor_allocations;
  const auto step = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(step, (size_bytes + step) / step * step);
}

void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }

namespace strandline {
namespace {

EncoderConfig narrow_encoder(Direction direction) {
  return {
      .vocab_size = 7, .d_model = 32, .layers = 2, .d_state = 16, .headdim = 32, .chunk = 32, .direction = direction};
}

class ModelMemory : public ::testing::TestWithParam<Direction> {
 protected:
  ClassifierConfig config_{.encoder = narrow_encoder(GetParam()), .classes = 2, .pooling = Pooling::mean};
  std::unique_ptr<Backend> backend_ = make_cpu_backend({.threads = 2});
};

std::int64_t peak_of(const ClassifierConfig& config, Backend& backend, std::int64_t tokens) {
  Classifier classifier(config, backend, {.segment_tokens = 1024});
  classifier.initialise(1);
  std::vector<float> logits(2);
  classifier.predict(testing::pack_of(testing::random_ids(tokens, 7, 1)), logits);
  return static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
}

TEST_P(ModelMemory, GrowsWithTheResidualStreamOnly) {
  constexpr std::int64_t kTokens = 32768;
  const std::int64_t residual_bytes = kTokens * config_.encoder.d_model * 4;
  const std::int64_t growth = peak_of(config_, *backend_, 2 * kTokens) - peak_of(config_, *backend_, kTokens);
  // In two directions, a sequence in pieces is kept once more.
  EXPECT_LE(growth, residual_bytes * config_.encoder.directions());
}

TEST_P(ModelMemory, AllocatesNoTensorInTheSteadyState) {
  Classifier classifier(config_, *backend_, {.segment_tokens = 256});
  classifier.initialise(1);
  const std::vector<std::int64_t> lengths{100, 1000, 30};
  const PackedBatch batch = testing::random_pack(lengths, 7, 1);
  const std::vector<std::int32_t> labels{0, 1, 1};
  std::vector<float> logits(6);
  const auto once = [&] {
    classifier.train_step(batch, labels, {});
    classifier.predict(batch, logits);
  };
  once();
  once();
  const int before = tensor_allocations;
  EXPECT_GT(before, 0);
  for (int i = 0; i < 3; ++i) once();
  EXPECT_EQ(tensor_allocations, before);
}

INSTANTIATE_TEST_SUITE_P(Directions, ModelMemory, ::testing::Values(Direction::causal, Direction::bidirectional),
                         [](const auto& each) {
                           return each.param == Direction::causal ? std::string("Causal")
                                                                  : std::string("Bidirectional");
                         });

TEST(StreamMemory, DoesNotGrowWithTheSequence) {
  const auto backend = make_cpu_backend({.threads = 2});
  Classifier classifier({.encoder = narrow_encoder(Direction::causal)}, *backend);
  classifier.initialise(1);
  ClassifierStream stream(classifier, 256);
  const std::vector<std::int32_t> ids = testing::random_ids(10000, 7, 1);
  stream.push(ids);
  const int allocations = tensor_allocations;
  const std::size_t peak = classifier.encoder().workspace().peak_bytes();
  for (int i = 0; i < 5; ++i) stream.push(ids);
  std::vector<float> logits(2);
  stream.finish(logits);
  EXPECT_EQ(tensor_allocations, allocations);
  EXPECT_EQ(classifier.encoder().workspace().peak_bytes(), peak);
}

}  // namespace
}  // namespace strandline
