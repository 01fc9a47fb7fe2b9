#include "pipelines/run/memory_plan.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/model/classifier_stream.hpp"
#include "core/model/mamba2_block.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/run_plan.hpp"
#include "tests/pipelines/tiny_model.hpp"

namespace strandline {
namespace {

// "VmHWM" or "VmRSS" of this process; -1 when the system does not say.
std::int64_t status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  std::string word;
  while (file >> word) {
    std::int64_t kibibytes = 0;
    if (word == key + ":" && file >> kibibytes) return kibibytes * 1024;
  }
  return -1;
}

// AddressSanitizer reserves terabytes for its shadow, and keeps what was freed: not what is planned.
bool is_sanitized() { return status_bytes("VmSize") > std::int64_t{1} << 40; }

// Makes VmHWM begin anew.
void reset_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

std::int64_t measured_bytes(Classifier& classifier, std::int64_t tokens) {
  PackedBatch batch;
  batch.add(std::vector<std::int32_t>(static_cast<std::size_t>(tokens), dna::kA));
  std::vector<float> pooled(static_cast<std::size_t>(classifier.config().encoder.d_model));
  classifier.embed(batch, pooled);
  return status_bytes("VmHWM");
}

TEST(MemoryPlan, FindsTheLongestBatchThatFits) {
  const MemoryPlan plan(testing::tiny_config(Direction::bidirectional), {.segment_tokens = 4096});
  EXPECT_EQ(plan.max_tokens(0), 0);
  EXPECT_EQ(plan.max_tokens(plan.bytes(0)), 0);
  for (const std::int64_t tokens : {1, 1000, 4095, 4096, 4097, 1000000}) {
    EXPECT_EQ(plan.max_tokens(plan.bytes(tokens)), tokens);
    EXPECT_EQ(plan.max_tokens(plan.bytes(tokens) - 1), tokens - 1);
  }
}

TEST(MemoryPlan, IsNotExceeded) {
  if (is_sanitized() || status_bytes("VmHWM") < 0) GTEST_SKIP() << "no plain measure of memory here";
  ClassifierConfig config = testing::tiny_config(Direction::bidirectional);
  config.encoder.d_model = 64;
  config.encoder.d_state = 32;
  config.encoder.headdim = 32;
  const auto backend = make_cpu_backend({.threads = 2});
  for (const std::int64_t tokens : {3000, 60000}) {
    reset_peak();
    const std::int64_t before = status_bytes("VmRSS");
    Classifier classifier(config, *backend, {.segment_tokens = 4096});
    const std::int64_t took = measured_bytes(classifier, tokens) - before;
    const MemoryPlan plan(config, {.segment_tokens = 4096});
    // What the program itself takes is there before.
    EXPECT_LE(took, plan.bytes(tokens)) << tokens;
    RecordProperty("took_bytes", std::to_string(took));
  }
}

// Every tensor of a pass in fp32 on the CPU, against the plan: the same code, so the same bytes.
struct Passes {
  std::string name;
  Direction direction;
  Pooling pooling;
  bool tied;
  double dropout;
  std::int64_t keep_bytes;

  friend std::ostream& operator<<(std::ostream& out, const Passes& each) { return out << each.name; }
};

class MemoryPlanOf : public ::testing::TestWithParam<Passes> {
 protected:
  static ClassifierConfig config() {
    ClassifierConfig config = testing::tiny_config(GetParam().direction);
    config.pooling = GetParam().pooling;
    config.encoder.tied_projections = GetParam().tied;
    config.encoder.dropout = GetParam().dropout;
    return config;
  }
  static EncoderOptions options() { return {.segment_tokens = 256, .keep_bytes = GetParam().keep_bytes}; }

  static PackedBatch batch(std::int64_t sequences, std::int64_t length) {
    PackedBatch packed;
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(length), dna::kA);
    for (std::int64_t s = 0; s < sequences; ++s) packed.add(ids);
    return packed;
  }
};

TEST_P(MemoryPlanOf, CountsTheWorkspaceOfInference) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const std::int64_t length : {1, 100, 256, 257, 1000, 4096, 5000}) {
    Classifier classifier(config(), *backend, options());
    std::vector<float> logits(3);
    classifier.predict(batch(1, length), logits);
    const MemoryUse use = MemoryPlan(config(), options()).inference({.tokens = length});
    const auto took = static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
    EXPECT_GE(use.workspace_bytes, took) << length;
    // A stream, where the model has one, goes in pieces that may take more than a short sequence.
    if (ClassifierStream::supports(config())) continue;
    EXPECT_LE(use.workspace_bytes, took + took / 20 + 4096) << length;
  }
}

TEST_P(MemoryPlanOf, CountsTheWorkspaceOfTraining) {
  const auto backend = make_cpu_backend({.threads = 1});
  struct Pack {
    std::int64_t sequences;
    std::int64_t length;
  };
  for (const Pack& pack : {Pack{1, 64}, Pack{8, 32}, Pack{4, 256}, Pack{1, 1000}, Pack{1, 3000}, Pack{2, 700}}) {
    Classifier classifier(config(), *backend, options());
    const std::vector<std::int32_t> labels(static_cast<std::size_t>(pack.sequences));
    const std::vector<float> class_weights(3, 1.0F);
    classifier.train_step(batch(pack.sequences, pack.length), labels, {.class_weights = class_weights});
    const MemoryUse use =
        MemoryPlan(config(), options())
            .training({.tokens = pack.sequences * pack.length, .sequences = pack.sequences, .longest = pack.length});
    const auto took = static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
    EXPECT_GE(use.workspace_bytes, took) << pack.sequences << " x " << pack.length;
    const bool may_keep_less = GetParam().keep_bytes < (1 << 20) && GetParam().keep_bytes > 0;
    if (may_keep_less || pack.length > 256) continue;
    EXPECT_LE(use.workspace_bytes, took + took / 20) << pack.sequences << " x " << pack.length;
  }
}

TEST_P(MemoryPlanOf, ExtrapolatesWhatALongSequenceTakes) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const std::int64_t length : {20000, 33333}) {
    Classifier classifier(config(), *backend, options());
    const std::vector<std::int32_t> labels(1);
    const std::vector<float> class_weights(3, 1.0F);
    classifier.train_step(batch(1, length), labels, {.class_weights = class_weights});
    const MemoryUse use = MemoryPlan(config(), options()).training({.tokens = length});
    const auto took = static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
    EXPECT_GE(use.workspace_bytes, took) << length;
    EXPECT_LE(use.workspace_bytes, took + took / 20) << length;
  }
}

TEST_P(MemoryPlanOf, ReservedIsEnoughForThePass) {
  const auto backend = make_cpu_backend({.threads = 1});
  Classifier classifier(config(), *backend, options());
  const MemoryUse use = MemoryPlan(config(), options()).inference({.tokens = 3000, .sequences = 3, .longest = 1000});

  classifier.encoder().workspace().reserve(use.workspace_bytes);
  std::vector<float> logits(9);
  classifier.predict(batch(3, 1000), logits);

  EXPECT_LE(static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes()), use.workspace_bytes);
}

INSTANTIATE_TEST_SUITE_P(
    Passes, MemoryPlanOf,
    ::testing::Values(Passes{"causal", Direction::causal, Pooling::mean, true, 0.0, 0},
                      Passes{"causal_kept", Direction::causal, Pooling::mean, true, 0.1, std::int64_t{1} << 29},
                      Passes{"causal_partly_kept", Direction::causal, Pooling::last, true, 0.0, 200000},
                      Passes{"bidirectional", Direction::bidirectional, Pooling::mean, true, 0.0, 0},
                      Passes{"untied", Direction::bidirectional, Pooling::attention, false, 0.0, 0},
                      Passes{"untied_kept", Direction::bidirectional, Pooling::max, false, 0.2, std::int64_t{1} << 29}),
    [](const auto& each) { return each.param.name; });

TEST(MemoryPlan, SmallerPacksThatKeepMoreAreCounted) {
  const ClassifierConfig config = testing::tiny_config();
  const EncoderOptions options{.segment_tokens = 4096, .keep_bytes = 1 << 22};
  const MemoryPlan plan(config, options);
  const std::int64_t kept_tokens =
      options.keep_bytes / (config.encoder.layers * kept_width(config.encoder) * std::int64_t{sizeof(float)});

  const MemoryUse whole = plan.training({.tokens = 2 * kept_tokens, .sequences = 64, .longest = 256});
  const MemoryUse kept = plan.training({.tokens = kept_tokens, .sequences = 64, .longest = 256});

  EXPECT_GE(whole.workspace_bytes, kept.workspace_bytes);
}

// Half of the width in activations and all of it in the residual stream.
TEST(MemoryPlan, TakesOneResidualStreamWhereACopyIsNotWanted) {
  ClassifierConfig config = testing::tiny_config(Direction::bidirectional);
  const auto backend = make_cpu_backend({.threads = 1});
  for (const std::int64_t length : {3000, 40000}) {
    const std::int64_t stream = length * config.encoder.d_model * std::int64_t{sizeof(float)};
    const EncoderOptions copies{.segment_tokens = 256, .copy_bytes = stream};
    const EncoderOptions walks{.segment_tokens = 256, .copy_bytes = stream - 1};
    for (const EncoderOptions& options : {copies, walks}) {
      Classifier classifier(config, *backend, options);
      const std::vector<std::int32_t> ids(static_cast<std::size_t>(length), dna::kA);
      PackedBatch batch;
      batch.add(ids);
      std::vector<float> logits(3);
      classifier.predict(batch, logits);
      const MemoryUse use = MemoryPlan(config, options).inference({.tokens = length});
      const auto took = static_cast<std::int64_t>(classifier.encoder().workspace().peak_bytes());
      EXPECT_GE(use.workspace_bytes, took) << length;
      EXPECT_LE(use.workspace_bytes, took + took / 20 + 4096) << length;
    }
  }
}

// A chromosome on a card of 139 GiB (GRCh38, chr1): its residual stream alone takes 119 GiB at a width of 128.
TEST(MemoryPlan, ReadsAChromosomeInOneCall) {
  ClassifierConfig config = testing::tiny_config(Direction::bidirectional);
  config.encoder = {.vocab_size = 16, .d_model = 128, .layers = 4, .direction = Direction::bidirectional};
  constexpr std::int64_t kBases = 248956422;
  const std::int64_t have = std::int64_t{138} << 30;
  const PlanTarget card{.dtype = DType::bf16, .on_card = true, .step_bytes = 1 << 21};
  const EncoderOptions options{.segment_tokens = 131072, .copy_bytes = have / 4};
  const MemoryPlan plan(config, options, card);

  EXPECT_LE(plan.inference({.tokens = kBases}).device_bytes, have * 9 / 10);
  EXPECT_GE(plan.max_tokens(have), kBases);
  EXPECT_GT(MemoryPlan(config, {.segment_tokens = 131072}, card).inference({.tokens = kBases}).device_bytes, have);
}

TEST(MemoryPlan, TakesLessInBfloat16) {
  const ClassifierConfig config = testing::tiny_config();
  const MemoryPlan single(config, {}, {.dtype = DType::f32, .on_card = true});
  const MemoryPlan half(config, {}, {.dtype = DType::bf16, .on_card = true});

  const std::int64_t wide = single.training({.tokens = 4096}).workspace_bytes;
  const std::int64_t narrow = half.training({.tokens = 4096}).workspace_bytes;

  EXPECT_LT(narrow, wide);
  EXPECT_GT(narrow, wide / 2);
}

TEST(MemoryPlan, AsksTheBackEndForItsScratch) {
  PlanTarget target{.on_card = true};
  target.scratch_bytes = [](const ops::OperationShape& shape) {
    return shape.kind == ops::OperationKind::ssd_scan ? 3 * shape.tokens * shape.heads : std::int64_t{0};
  };
  const ClassifierConfig config = testing::tiny_config();

  const MemoryUse use = MemoryPlan(config, {.segment_tokens = 1024}, target).inference({.tokens = 1000});

  constexpr std::int64_t kOffsets = 8 * 2 * 8;  // eight packs of two offsets
  EXPECT_EQ(use.scratch_bytes, 3 * 1024 * config.encoder.heads() + kOffsets);
}

TEST(RunPlan, RefusesBeforeAnythingWasTaken) {
  const auto backend = make_cpu_backend({.threads = 1});
  const RunPlanRequest request{.training = {.tokens = 1 << 16}, .memory_bytes = 1 << 20};
  try {
    plan_run(testing::tiny_config(), *backend, request);
    FAIL() << "fitted";
  } catch (const MemoryError& error) {
    EXPECT_NE(std::string(error.what()).find("training on 65536 bases needs"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("there is 1.0 MiB"), std::string::npos) << error.what();
  }
}

TEST(RunPlan, SaysWhatItTakes) {
  const auto backend = make_cpu_backend({.threads = 1});

  const RunPlan plan = plan_run(testing::tiny_config(), *backend,
                                {.inference = {.tokens = 4096}, .memory_bytes = std::int64_t{1} << 30});

  EXPECT_EQ(plan.encoder.segment_tokens, 16384);
  EXPECT_NE(describe(plan).find("of 1.0 GiB on cpu; segments of 16384 tokens"), std::string::npos) << describe(plan);
}

TEST(MemoryPlan, WritesSizesAsPeopleReadThem) {
  EXPECT_EQ(format_bytes(512), "512 bytes");
  EXPECT_EQ(format_bytes(std::int64_t{17} << 20), "17 MiB");
  EXPECT_EQ(format_bytes((std::int64_t{3} << 30) + (std::int64_t{1} << 28)), "3.2 GiB");
}

}  // namespace
}  // namespace strandline
