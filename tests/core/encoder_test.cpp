// What an encoder promises about its results, on the reference and on the CPU: the same bits alone, in any pack, in any
// segments and in any split of a stream; and no look at what is to come.
#include "core/model/encoder.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/model/encoder_stream.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/tensor/host_copy.hpp"
#include "tests/core/backends.hpp"
#include "tests/core/model_fixture.hpp"

namespace strandline {
namespace {

using testing::BackendCase;
using testing::hidden_of;
using testing::ids_of;
using testing::pack_of;
using testing::rows_of;

// Large enough that a back end's blocks and vectors are full, small enough for the reference.
EncoderConfig medium_encoder() {
  return {.vocab_size = 16, .d_model = 40, .layers = 2, .d_state = 24, .headdim = 16, .groups = 1, .chunk = 16};
}

EncoderConfig medium_bidirectional(bool tied, Combine combine) {
  EncoderConfig config = medium_encoder();
  config.direction = Direction::bidirectional;
  config.tied_projections = tied;
  config.combine = combine;
  return config;
}

std::vector<EncoderConfig> all_shapes() {
  return {medium_encoder(), medium_bidirectional(true, Combine::add), medium_bidirectional(false, Combine::add),
          medium_bidirectional(true, Combine::concat)};
}

class EncoderResult : public ::testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override { backend_ = testing::make_or_skip(GetParam()); }
  Weights weights_for(const EncoderConfig& config) {
    Weights weights(WeightLayout(config), *backend_);
    testing::scramble(config, 11, weights);
    return weights;
  }

  std::unique_ptr<Backend> backend_;
  const std::vector<std::int64_t> lengths_{1, 16, 0, 53, 15, 17, 70, 0};
  const PackedBatch pack_ = testing::random_pack(lengths_, 16, 21);
};

TEST_P(EncoderResult, HasTheSameBitsAloneAndInAPack) {
  for (const EncoderConfig& config : all_shapes()) {
    const Weights weights = weights_for(config);
    Encoder encoder(config, *backend_, weights);
    const std::vector<float> together = hidden_of(encoder, pack_);
    for (std::size_t s = 0; s < lengths_.size(); ++s) {
      if (lengths_[s] == 0) continue;
      EXPECT_EQ(hidden_of(encoder, pack_of(ids_of(pack_, s))), rows_of(pack_, together, s)) << "sequence " << s;
    }
  }
}

TEST_P(EncoderResult, HasTheSameBitsForAnySegmentLength) {
  for (const EncoderConfig& config : all_shapes()) {
    const Weights weights = weights_for(config);
    Encoder whole(config, *backend_, weights);
    const std::vector<float> expected = hidden_of(whole, pack_);
    for (const std::int64_t segment_tokens : {1, 33, 64}) {
      Encoder encoder(config, *backend_, weights, {.segment_tokens = segment_tokens});
      EXPECT_EQ(hidden_of(encoder, pack_), expected) << segment_tokens;
      Encoder without_copy(config, *backend_, weights, {.segment_tokens = segment_tokens, .copy_bytes = 0});
      EXPECT_EQ(hidden_of(without_copy, pack_), expected) << segment_tokens << ", without a copy of the input";
    }
  }
}

TEST_P(EncoderResult, HasTheSameBitsInTraining) {
  const EncoderConfig config = medium_bidirectional(true, Combine::add);
  const Weights weights = weights_for(config);
  Encoder encoder(config, *backend_, weights, {.segment_tokens = 32});
  const std::vector<float> expected = hidden_of(encoder, pack_);
  const Workspace::Scope scope(encoder.workspace());
  const View hidden_td = encoder.workspace().take(backend_->accumulate_dtype(), {pack_.tokens(), config.d_model});
  encoder.forward_training(pack_, {}, hidden_td);
  backend_->synchronize();
  std::vector<float> hidden(expected.size());
  download_values(backend_->memory(), hidden_td, hidden);
  EXPECT_EQ(hidden, expected);
}

TEST_P(EncoderResult, DoesNotLookAheadWhenCausal) {
  const EncoderConfig config = medium_encoder();
  const Weights weights = weights_for(config);
  Encoder encoder(config, *backend_, weights);
  std::vector<std::int32_t> ids = testing::random_ids(60, config.vocab_size, 2);
  const std::vector<float> before = hidden_of(encoder, pack_of(ids));
  constexpr std::size_t kChanged = 37;
  ids[kChanged] = (ids[kChanged] + 1) % 16;
  const std::vector<float> after = hidden_of(encoder, pack_of(ids));
  const auto width = static_cast<std::size_t>(config.d_model);
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const auto row = [&](const std::vector<float>& v) {
      return std::vector(v.begin() + t * width, v.begin() + (t + 1) * width);
    };
    EXPECT_EQ(row(before) == row(after), t < kChanged) << t;
  }
}

TEST_P(EncoderResult, LooksBothWaysWhenBidirectional) {
  for (const Combine combine : {Combine::add, Combine::concat}) {
    const EncoderConfig config = medium_bidirectional(true, combine);
    const Weights weights = weights_for(config);
    Encoder encoder(config, *backend_, weights);
    std::vector<std::int32_t> ids = testing::random_ids(30, config.vocab_size, 2);
    const std::vector<float> before = hidden_of(encoder, pack_of(ids));
    ids[15] = (ids[15] + 1) % 16;
    const std::vector<float> after = hidden_of(encoder, pack_of(ids));
    EXPECT_NE(before.front(), after.front());
    EXPECT_NE(before.back(), after.back());
  }
}

TEST_P(EncoderResult, StreamsInAnySplitWithTheBitsOfOneShot) {
  const EncoderConfig config = medium_encoder();
  const Weights weights = weights_for(config);
  Encoder encoder(config, *backend_, weights);
  const std::vector<std::int32_t> ids = testing::random_ids(99, config.vocab_size, 8);
  const std::vector<float> expected = hidden_of(encoder, pack_of(ids));
  for (const std::int64_t piece_tokens : {1, 50, 4096}) {
    std::vector<float> streamed;
    EncoderStream stream(
        encoder,
        [&](std::int64_t first_token, ConstView hidden_td) {
          EXPECT_EQ(first_token * config.d_model, static_cast<std::int64_t>(streamed.size()));
          std::vector<float> values(static_cast<std::size_t>(hidden_td.elements()));
          backend_->synchronize();
          download_values(backend_->memory(), hidden_td, values);
          streamed.insert(streamed.end(), values.begin(), values.end());
        },
        piece_tokens);
    for (const std::size_t split : {1, 64, 99}) {  // the stream serves one sequence after the other
      streamed.clear();
      for (std::size_t at = 0; at < ids.size(); at += split) {
        stream.push(std::span(ids).subspan(at, std::min(split, ids.size() - at)));
      }
      EXPECT_EQ(stream.finish(), 99);
      EXPECT_EQ(streamed, expected) << "pieces of " << piece_tokens << ", split " << split;
    }
  }
}

TEST_P(EncoderResult, IsEmptyForAnEmptyPack) {
  const EncoderConfig config = medium_bidirectional(true, Combine::add);
  const Weights weights = weights_for(config);
  Encoder encoder(config, *backend_, weights);
  PackedBatch batch;
  EXPECT_TRUE(hidden_of(encoder, batch).empty());
  batch.add({});
  EXPECT_TRUE(hidden_of(encoder, batch).empty());
}

INSTANTIATE_TEST_SUITE_P(Backends, EncoderResult, ::testing::ValuesIn(testing::backend_cases()),
                         [](const auto& each) { return each.param.name; });

TEST(Encoder, RefusesAnOutputOfAnotherShape) {
  const auto backend = make_ref_backend();
  const EncoderConfig config = testing::tiny_encoder();
  const Weights weights(WeightLayout(config), *backend);
  Encoder encoder(config, *backend, weights);
  const PackedBatch batch = pack_of(testing::random_ids(4, config.vocab_size, 1));
  EXPECT_THROW(encoder.forward(batch, encoder.workspace().take(DType::f64, {3, config.d_model})), ContractError);
  EXPECT_THROW(encoder.forward(batch, encoder.workspace().take(DType::f32, {4, config.d_model})), ContractError);
}

TEST(Encoder, RefusesIdsOutsideTheVocabulary) {
  const auto backend = make_ref_backend();
  const EncoderConfig config = testing::tiny_encoder();
  const Weights weights(WeightLayout(config), *backend);
  Encoder encoder(config, *backend, weights);
  EXPECT_THROW(hidden_of(encoder, pack_of(std::vector<std::int32_t>{1, 7})), ContractError);
}

TEST(EncoderStream, RefusesABidirectionalEncoder) {
  const auto backend = make_ref_backend();
  const EncoderConfig config = testing::tiny_bidirectional(true, Combine::add);
  const Weights weights(WeightLayout(config), *backend);
  Encoder encoder(config, *backend, weights);
  EXPECT_THROW(EncoderStream(encoder, [](std::int64_t, ConstView) {}), ContractError);
}

}  // namespace
}  // namespace strandline
