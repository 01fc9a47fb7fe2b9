// Small models, packs and helpers that the model's tests share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/backend.hpp"
#include "core/model/classifier.hpp"
#include "core/model/mil/mil_config.hpp"
#include "core/model/packed_batch.hpp"

namespace strandline::testing {

/// Two layers, every size different and none a power of two, two groups.
EncoderConfig tiny_encoder();
ClassifierConfig tiny_classifier();

/// The tiny one made bidirectional.
EncoderConfig tiny_bidirectional(bool tied, Combine combine);

/// The published aggregator with small sizes, none a power of two where it need not be and no two alike.
MilConfig tiny_mil(MilKind kind);

/// Random ids below `vocab_size`, the same for the same seed.
std::vector<std::int32_t> random_ids(std::int64_t count, std::int64_t vocab_size, std::uint64_t seed);
PackedBatch random_pack(std::span<const std::int64_t> lengths, std::int64_t vocab_size, std::uint64_t seed);

/// Initialised, then moved away from the special values (ones, zeros, small embeddings) at which mistakes cancel.
void scramble(const EncoderConfig& config, std::uint64_t seed, Weights& weights);

/// Hidden states of a pack, T * D values.
std::vector<float> hidden_of(Encoder& encoder, const PackedBatch& batch);

std::vector<float> logits_of(Classifier& classifier, const PackedBatch& batch);

/// The rows of sequence s in T * D values.
std::vector<float> rows_of(const PackedBatch& batch, const std::vector<float>& values, std::size_t s);

PackedBatch pack_of(std::span<const std::int32_t> ids);
std::span<const std::int32_t> ids_of(const PackedBatch& batch, std::size_t s);

}  // namespace strandline::testing
