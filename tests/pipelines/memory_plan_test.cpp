#include "pipelines/run/memory_plan.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "core/vocab/dna.hpp"
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
  const MemoryPlan plan = plan_inference(testing::tiny_config(Direction::bidirectional), {.segment_tokens = 4096});
  EXPECT_EQ(plan.max_tokens(0), 0);
  EXPECT_EQ(plan.max_tokens(plan.fixed_bytes), 0);
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
    const MemoryPlan plan = plan_inference(config, {.segment_tokens = 4096});
    // What the program itself takes is there before.
    EXPECT_LE(took, plan.bytes(tokens)) << tokens;
    RecordProperty("took_bytes", std::to_string(took));
  }
}

TEST(MemoryPlan, WritesSizesAsPeopleReadThem) {
  EXPECT_EQ(format_bytes(512), "512 bytes");
  EXPECT_EQ(format_bytes(std::int64_t{17} << 20), "17 MiB");
  EXPECT_EQ(format_bytes((std::int64_t{3} << 30) + (std::int64_t{1} << 28)), "3.2 GiB");
}

}  // namespace
}  // namespace strandline
