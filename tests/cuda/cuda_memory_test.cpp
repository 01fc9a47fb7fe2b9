// The memory of the GPU back end: blocks that are kept and handed out again, the limit, and copies beyond the size of
// the pinned buffers that they go through.
#include <gmock/gmock.h>

#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "core/backend.hpp"
#include "core/base/error.hpp"
#include "core/tensor/buffer.hpp"
#include "cuda/cuda_backend.hpp"
#include "tests/fixture/gpu.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

using Bytes = std::vector<std::uint8_t>;

/// No two neighbouring parts look alike: the period is a prime that divides no size of a buffer.
Bytes pattern(std::size_t size_bytes, std::uint8_t first = 0) {
  Bytes bytes(size_bytes);
  for (std::size_t i = 0; i < size_bytes; ++i) bytes[i] = static_cast<std::uint8_t>(i % 251 + first);
  return bytes;
}

class GpuMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (why_no_gpu().empty()) return;
    if (gpu_is_required()) FAIL() << why_no_gpu();
    GTEST_SKIP() << why_no_gpu();
  }
};

std::unique_ptr<Backend> back_end(std::size_t limit_bytes = 0) {
  return make_cuda_backend({.memory_limit_bytes = limit_bytes});
}

Buffer block(Backend& backend, std::size_t size_bytes) {
  return Buffer(backend.memory(), DType::u8, {static_cast<std::int64_t>(size_bytes)});
}

Bytes content(const Buffer& buffer) {
  Bytes bytes(buffer.size_bytes());
  buffer.download(bytes.data());
  return bytes;
}

std::string refusal(Backend& backend, std::size_t size_bytes) {
  try {
    block(backend, size_bytes);
  } catch (const MemoryError& error) {
    return error.what();
  }
  return "";
}

TEST_F(GpuMemory, AlignsBlocksOfAnySize) {
  const auto backend = back_end();
  std::vector<Buffer> blocks;

  for (const std::size_t size_bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{513}, kMiB + 1, 3 * kMiB + 7}) {
    blocks.push_back(block(*backend, size_bytes));

    EXPECT_NE(blocks.back().view().data(), nullptr) << size_bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back().view().data()) % 512, 0U) << size_bytes;
  }
}

TEST_F(GpuMemory, HandsOutAgainWhatWasGivenBack) {
  const auto backend = back_end();
  const void* first = block(*backend, 10 * kMiB).view().data();
  const std::int64_t peak_bytes = backend->device_memory()->peak_bytes;

  for (int round = 0; round < 3; ++round) EXPECT_EQ(block(*backend, 10 * kMiB - 100).view().data(), first);

  EXPECT_EQ(backend->device_memory()->peak_bytes, peak_bytes);
}

TEST_F(GpuMemory, KeepsBlocksInUseApart) {
  const auto backend = back_end();
  Buffer a = block(*backend, 1000);
  Buffer b = block(*backend, 1000);

  a.upload(pattern(1000, 1).data());
  b.upload(pattern(1000, 2).data());

  EXPECT_EQ(content(a), pattern(1000, 1));
  EXPECT_EQ(content(b), pattern(1000, 2));
}

TEST_F(GpuMemory, RefusesWhatIsBeyondTheLimitWithNeedHaveAndCure) {
  const auto backend = back_end(64 * kMiB);
  const Buffer held = block(*backend, 48 * kMiB);

  const std::string message = refusal(*backend, 32 * kMiB);

  EXPECT_THAT(message, HasSubstr("0.03 GiB more are needed beside 0.05 GiB in use"));
  EXPECT_THAT(message, HasSubstr("are free on cuda:0, and --memory allows 0.06 GiB"));
  EXPECT_THAT(message, HasSubstr("a larger --memory"));
}

TEST_F(GpuMemory, GivesUpItsCacheBeforeItRefuses) {
  const auto backend = back_end(64 * kMiB);
  for (const std::size_t size_bytes : {20 * kMiB, 30 * kMiB}) block(*backend, size_bytes);

  EXPECT_EQ(backend->device_memory()->free_bytes, static_cast<std::int64_t>(64 * kMiB));
  EXPECT_EQ(refusal(*backend, 60 * kMiB), "");
  EXPECT_LE(backend->device_memory()->peak_bytes, static_cast<std::int64_t>(64 * kMiB));
}

TEST_F(GpuMemory, WorksOnAfterARefusal) {
  const auto backend = back_end(64 * kMiB);
  Buffer held = block(*backend, 5 * kMiB);
  held.upload(pattern(5 * kMiB).data());

  // Beyond the limit, and beyond any card: the second is asked of the driver.
  EXPECT_NE(refusal(*backend, 100 * kMiB), "");
  EXPECT_NE(refusal(*back_end(), std::size_t{1} << 42U), "");

  EXPECT_EQ(content(held), pattern(5 * kMiB));
  EXPECT_EQ(refusal(*backend, 10 * kMiB), "");
}

TEST_F(GpuMemory, CarriesMoreThanItsPinnedBuffersHold) {
  const auto backend = back_end();
  for (const std::size_t size_bytes : {std::size_t{1}, 4 * kMiB, 4 * kMiB + 1, 13 * kMiB + 5}) {
    SCOPED_TRACE(size_bytes);
    Buffer from = block(*backend, size_bytes);
    Buffer to = block(*backend, size_bytes);

    Bytes sent = pattern(size_bytes);
    from.upload(sent.data());
    std::fill(sent.begin(), sent.end(), std::uint8_t{255});  // an upload does not look at the host's data again
    backend->memory().copy(to.view().data(), from.view().data(), size_bytes);
    from.zero();

    EXPECT_TRUE(content(to) == pattern(size_bytes));
    EXPECT_TRUE(content(from) == Bytes(size_bytes));
  }
}

TEST_F(GpuMemory, CarriesNothing) {
  const auto backend = back_end();
  Buffer buffer = block(*backend, 0);

  buffer.upload(nullptr);
  buffer.zero();
  backend->memory().copy(buffer.view().data(), buffer.view().data(), 0);
  buffer.download(nullptr);
}

TEST_F(GpuMemory, KeepsUploadsInOrder) {
  const auto backend = back_end();
  Buffer buffer = block(*backend, 3 * kMiB);

  for (std::uint8_t round = 0; round < 20; ++round) buffer.upload(pattern(3 * kMiB, round).data());

  EXPECT_TRUE(content(buffer) == pattern(3 * kMiB, 19));
}

TEST_F(GpuMemory, MayBeUsedFromAnotherThreadThanItWasMadeIn) {
  const auto backend = back_end();
  Bytes received;

  std::thread([&] {
    Buffer buffer = block(*backend, kMiB);
    buffer.upload(pattern(kMiB).data());
    received = content(buffer);
  }).join();

  EXPECT_TRUE(received == pattern(kMiB));
}

TEST_F(GpuMemory, OfOneBackEndOutlivesAnother) {
  const auto stays = back_end();
  Buffer kept = block(*stays, kMiB);
  {
    const auto goes = back_end();
    Buffer buffer = block(*goes, kMiB);
    buffer.upload(pattern(kMiB, 3).data());
    kept.upload(pattern(kMiB).data());
  }

  EXPECT_TRUE(content(kept) == pattern(kMiB));
}

TEST_F(GpuMemory, OfTwoCardsIsUsedInTurns) {
  if (list_cuda_devices().size() < 2) GTEST_SKIP() << "there is one card only";
  const auto first = make_cuda_backend({.device_index = 0});
  const auto second = make_cuda_backend({.device_index = 1});

  for (Backend* backend : {first.get(), second.get(), first.get()}) {
    Buffer x(backend->memory(), DType::f32, {1000});
    Buffer y(backend->memory(), DType::f32, {1000});
    const std::vector<float> ones(1000, 1.0F);
    x.upload(ones.data());
    y.upload(ones.data());
    ops::add(*backend, x.view(), y.view());
    std::vector<float> sums(1000);
    y.download(sums.data());

    EXPECT_EQ(sums, std::vector<float>(1000, 2.0F));
  }
}

}  // namespace
}  // namespace strandline::test
