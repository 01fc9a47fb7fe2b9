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
#include "core/model/mil/mil_model.hpp"
#include "tests/core/model_fixture.hpp"
#include "tests/core/printed_enums.hpp"

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

class MilMemory : public ::testing::TestWithParam<MilKind> {
 protected:
  MilConfig config() const {
    MilConfig config = published_config(GetParam(), 24, 2);
    config.d_model = 32;
    config.attention_width = 16;
    config.d_state = 16;
    config.headdim = 32;
    config.chunk = 32;
    return config;
  }
  std::unique_ptr<Backend> backend_ = make_cpu_backend({.threads = 2});
};

TEST_P(MilMemory, OfAPredictionIsTheProjectedPatchesAndTheirCopies) {
  const auto peak_of = [&](std::int64_t patches) {
    MilModel model(config(), *backend_, {.segment_patches = 1024});
    model.initialise(1);
    const std::vector<float> features(static_cast<std::size_t>(patches * 24), 0.5F);
    std::vector<float> logits(2);
    model.predict({features, patches}, {.logits = logits});
    return static_cast<std::int64_t>(model.workspace().peak_bytes());
  };
  constexpr std::int64_t kPatches = 32768;
  // Per patch: itself; in two directions a sequence in pieces once more; in three branches three times more; a score
  // and a weight for each, and for three branches the numbers of their order.
  const std::int64_t rows = GetParam() == MilKind::bi_mamba ? 2 : (GetParam() == MilKind::mamba2_mil ? 4 : 1);
  const std::int64_t floats = rows * 32 + (GetParam() == MilKind::mamba2_mil ? 3 * 2 + 1 : 2);
  // The padding of mamba2_mil's square: less than one side and one row of places.
  const std::int64_t padding = GetParam() == MilKind::mamba2_mil ? 2 * 257 * 3 * 32 * 4 : 0;
  EXPECT_LE(peak_of(2 * kPatches) - peak_of(kPatches), kPatches * floats * 4 + padding);
}

TEST_P(MilMemory, AllocatesNoTensorInTheSteadyState) {
  MilModel model(config(), *backend_, {.segment_patches = 256});
  model.initialise(1);
  const std::vector<float> features(1000 * 24, 0.5F);
  std::vector<float> logits(2);
  std::vector<float> attention(1000);
  const auto once = [&] {
    model.train_step({features, 1000}, {.label = 1});
    model.predict({features, 1000}, {.logits = logits, .attention = attention});
  };
  once();
  once();
  const int before = tensor_allocations;
  for (int i = 0; i < 3; ++i) once();
  EXPECT_EQ(tensor_allocations, before);
}

INSTANTIATE_TEST_SUITE_P(Kinds, MilMemory,
                         ::testing::Values(MilKind::abmil, MilKind::clam_sb, MilKind::bi_mamba, MilKind::mamba2_mil),
                         [](const auto& each) { return std::string(name_of(each.param)); });

}  // namespace
}  // namespace strandline
