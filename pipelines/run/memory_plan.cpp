#include "pipelines/run/memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "core/base/checked.hpp"
#include "core/model/classifier.hpp"
#include "core/model/dry_backend.hpp"
#include "core/train/adamw_optimizer.hpp"
#include "pipelines/run/record_encoder.hpp"

namespace strandline {
namespace {

// Batches that wait between reading and encoding (see encode_records.cpp), the one in work, and the record being read,
// whose vector may have twice the room it needs. Four bytes a token each, and the upload to the device.
constexpr std::int64_t kTokenBytes = 4 * 8;
constexpr std::int64_t kProgramBytes = std::int64_t{96} << 20;
// What the driver and its libraries take on the host, pinned buffers among it.
constexpr std::int64_t kCardHostBytes = std::int64_t{640} << 20;
// Weights on the host while a checkpoint is written: they, two moments, and the best so far twice.
constexpr std::int64_t kWeightCopies = 5;
// A sequence of more pieces than this is extrapolated.
constexpr std::int64_t kPiecesCounted = 8;

// The pack within `shape` that takes the most: its segments are full, and there are as many sequences as may be.
PackedBatch largest_pack(const BatchShape& shape, std::int64_t piece_tokens) {
  const std::int64_t tokens = shape.tokens;
  const std::int64_t sequences = std::clamp<std::int64_t>(shape.sequences, 1, std::max<std::int64_t>(tokens, 1));
  std::int64_t longest = shape.longest > 0 ? std::min(shape.longest, tokens) : tokens;
  if (longest <= piece_tokens && shape.sequences > 1) longest = std::min(piece_tokens, tokens);
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(longest));
  PackedBatch batch;
  std::int64_t left = tokens;
  for (std::int64_t s = 0; left > 0 || s < sequences; ++s) {
    const std::int64_t after = std::max<std::int64_t>(sequences - 1 - s, 0);  // each of these wants a token
    const std::int64_t length = std::clamp<std::int64_t>(left - after, std::min<std::int64_t>(left, 1), longest);
    batch.add(std::span(ids).first(static_cast<std::size_t>(length)));
    left -= length;
  }
  return batch;
}

std::int64_t piece_tokens_of(const ClassifierConfig& config, const EncoderOptions& options) {
  return std::max(config.encoder.chunk, options.segment_tokens / config.encoder.chunk * config.encoder.chunk);
}

std::int64_t weight_bytes(const ClassifierConfig& config) {
  return WeightLayout(config).elements() * static_cast<std::int64_t>(sizeof(float));
}

// What a pass leaves to be counted.
void infer(RecordEncoder& encoder, const PackedBatch& batch) {
  if (batch.sequences() > 0) static_cast<void>(encoder.encode(batch));
  if (!encoder.takes_pieces()) return;
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(2 * encoder.piece_tokens()));
  encoder.push(ids);
  static_cast<void>(encoder.finish());
}

void train(Classifier& classifier, AdamwOptimizer& optimizer, const PackedBatch& batch) {
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(batch.sequences()));
  const std::vector<float> class_weights(static_cast<std::size_t>(classifier.config().classes), 1.0F);
  classifier.train_step(batch, labels, {.class_weights = class_weights});
  optimizer.step({.gradients = classifier.gradients()});
}

}  // namespace

PlanTarget plan_target(const Backend& backend) {
  PlanTarget target;
  target.dtype = backend.dtype();
  if (const auto memory = backend.device_memory()) {
    target.on_card = true;
    target.step_bytes = memory->step_bytes;
  }
  target.scratch_bytes = [&backend](const ops::OperationShape& shape) { return backend.scratch_bytes(shape); };
  return target;
}

MemoryUse larger(const MemoryUse& a, const MemoryUse& b) {
  return {.device_bytes = std::max(a.device_bytes, b.device_bytes),
          .workspace_bytes = std::max(a.workspace_bytes, b.workspace_bytes),
          .scratch_bytes = std::max(a.scratch_bytes, b.scratch_bytes),
          .host_bytes = std::max(a.host_bytes, b.host_bytes)};
}

MemoryPlan::MemoryPlan(const ClassifierConfig& config, const EncoderOptions& options, PlanTarget target)
    : config_(config), options_(options), target_(std::move(target)) {}

MemoryPlan::Counted MemoryPlan::count_with(const EncoderOptions& options, const BatchShape& batch,
                                           bool is_training) const {
  const auto backend = make_dry_backend({.dtype = target_.dtype,
                                         .step_bytes = target_.step_bytes,
                                         .scratch_bytes = target_.scratch_bytes,
                                         .on_card = target_.on_card});
  Classifier classifier(config_, *backend, options);
  const PackedBatch pack = largest_pack(batch, piece_tokens_of(config_, options));
  Counted counted;
  if (is_training) {
    AdamwOptimizer optimizer({}, *backend, classifier.weights());
    classifier.zero_gradients();
    counted.fixed_bytes = backend->peak_bytes();
    train(classifier, optimizer, pack);
  } else {
    RecordEncoder encoder(classifier, RowKind::probabilities);
    counted.fixed_bytes = backend->peak_bytes();
    infer(encoder, pack);
  }
  counted.workspace_bytes = static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
  counted.scratch_bytes = backend->scratch_peak_bytes();
  return counted;
}

MemoryPlan::Counted MemoryPlan::count_any_length(const BatchShape& batch, bool is_training) const {
  const std::int64_t piece = piece_tokens_of(config_, options_);
  const std::int64_t far = kPiecesCounted * piece;
  if (batch.sequences > 1 || batch.tokens <= far) return count(batch, is_training);
  // Shorter ones decide as this one about the copy of a layer's input.
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EncoderOptions options = options_;
  const std::int64_t row_bytes = config_.encoder.d_model * static_cast<std::int64_t>(sizeof(float));
  options.copy_bytes = checked_product(batch.tokens, row_bytes) > options_.copy_bytes ? 0 : kMost;
  const Counted near = count_with(options, {.tokens = far / 2}, is_training);
  const Counted there = count_with(options, {.tokens = far}, is_training);
  const auto beyond = [&](std::int64_t first, std::int64_t second) {
    const std::int64_t steps = ceil_div(batch.tokens - far, piece);
    return second + checked_product(ceil_div(second - first, kPiecesCounted / 2), steps);
  };
  return {.fixed_bytes = there.fixed_bytes,
          .workspace_bytes = beyond(near.workspace_bytes, there.workspace_bytes),
          .scratch_bytes = beyond(near.scratch_bytes, there.scratch_bytes)};
}

MemoryUse MemoryPlan::use_of(const Counted& counted, std::int64_t host_bytes) const {
  const auto block = [&](std::int64_t bytes) { return round_up(bytes, target_.step_bytes); };
  return {.device_bytes = counted.fixed_bytes + block(counted.workspace_bytes) + block(counted.scratch_bytes),
          .workspace_bytes = counted.workspace_bytes,
          .scratch_bytes = counted.scratch_bytes,
          .host_bytes = host_bytes + kProgramBytes + (target_.on_card ? kCardHostBytes : 0)};
}

MemoryUse MemoryPlan::inference(const BatchShape& batch) const {
  return use_of(count_any_length(batch, false), checked_product(kTokenBytes, batch.tokens));
}

MemoryUse MemoryPlan::training(const BatchShape& batch) const {
  const std::int64_t host_bytes = kWeightCopies * weight_bytes(config_) + checked_product(kTokenBytes, batch.tokens);
  const MemoryUse whole = use_of(count_any_length(batch, true), host_bytes);
  // A smaller pack may keep what a larger one has to compute again, and take more for it.
  const std::int64_t token_bytes =
      config_.encoder.layers * kept_width(config_.encoder) * static_cast<std::int64_t>(size_of(target_.dtype));
  const std::int64_t piece = piece_tokens_of(config_, options_);
  BatchShape kept = batch;
  kept.tokens = std::min(batch.tokens, options_.keep_bytes / token_bytes);
  if (batch.sequences <= 1) kept.tokens = std::min(kept.tokens, piece);
  kept.longest = std::min(batch.longest > 0 ? batch.longest : batch.tokens, piece);
  const bool is_same = kept.tokens == batch.tokens && kept.longest == batch.longest;
  if (is_same || kept.tokens == 0) return whole;
  return larger(whole, use_of(count_any_length(kept, true), host_bytes));
}

std::int64_t MemoryPlan::limited_bytes(const MemoryUse& use) const {
  return use.device_bytes + (target_.on_card ? 0 : use.host_bytes);
}

std::int64_t MemoryPlan::bytes(std::int64_t tokens) const { return limited_bytes(inference({.tokens = tokens})); }

std::int64_t MemoryPlan::max_tokens(std::int64_t limit_bytes) const {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (bytes(0) > limit_bytes) return 0;
  std::int64_t fits = 0;
  std::int64_t too_many = 1;
  while (too_many < kMost && bytes(too_many) <= limit_bytes) {
    fits = too_many;
    too_many *= 2;
  }
  while (too_many - fits > 1) {
    const std::int64_t middle = fits + (too_many - fits) / 2;
    (bytes(middle) <= limit_bytes ? fits : too_many) = middle;
  }
  return fits;
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024.0 && unit + 1 < kUnits.size(); ++unit) value /= 1024.0;
  return fmt::format("{:.{}f} {}", value, value < 10.0 && unit > 0 ? 1 : 0, kUnits[unit]);
}

}  // namespace strandline
