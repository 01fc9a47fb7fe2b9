#include "core/tensor/workspace.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "core/base/error.hpp"

namespace strandline {
namespace {

// Counts what is taken from and given back to the host, and refuses more than its limit.
class CountingMemory final : public Memory {
 public:
  Device device() const noexcept override { return {}; }
  void* allocate(std::size_t size_bytes) override {
    if (size_bytes > limit_bytes - held_bytes) throw MemoryError("no more");
    ++allocations;
    held_bytes += size_bytes;
    return host_.allocate(size_bytes);
  }
  void deallocate(void* data, std::size_t size_bytes) noexcept override {
    held_bytes -= size_bytes;
    host_.deallocate(data, size_bytes);
  }
  void upload(void* to, const void* from_host, std::size_t size_bytes) override {
    host_.upload(to, from_host, size_bytes);
  }
  void download(void* to_host, const void* from, std::size_t size_bytes) override {
    host_.download(to_host, from, size_bytes);
  }
  void copy(void* to, const void* from, std::size_t size_bytes) override { host_.copy(to, from, size_bytes); }
  void zero(void* to, std::size_t size_bytes) override { host_.zero(to, size_bytes); }

  int allocations = 0;
  std::size_t held_bytes = 0;
  std::size_t limit_bytes = std::numeric_limits<std::int64_t>::max();

 private:
  HostMemory host_;
};

void take_some(Workspace& workspace) {
  const Workspace::Scope outer(workspace);
  workspace.take(DType::f32, {1000, 1000});
  {
    const Workspace::Scope inner(workspace);
    workspace.take(DType::f64, {300, 1000});
    workspace.take(DType::u8, {3});
  }
  workspace.take(DType::f32, {2000, 1000});
}

TEST(Workspace, TakesNothingInTheSteadyState) {
  CountingMemory memory;
  Workspace workspace(memory);
  take_some(workspace);
  take_some(workspace);
  const int allocations = memory.allocations;
  for (int i = 0; i < 5; ++i) take_some(workspace);
  EXPECT_EQ(memory.allocations, allocations);
}

TEST(Workspace, EndsAScopeForWhoseMergedBlockThereIsNoMemory) {
  CountingMemory memory;
  Workspace workspace(memory);
  {
    const Workspace::Scope scope(workspace);
    workspace.take(DType::u8, {1 << 20});
    workspace.take(DType::u8, {2 << 20});
    memory.limit_bytes = memory.held_bytes - 1;
  }
  EXPECT_EQ(memory.held_bytes, 0U);

  const Workspace::Scope scope(workspace);
  EXPECT_NE(workspace.take(DType::u8, {2 << 20}).data(), nullptr);
}

TEST(Workspace, StaysAsItWasWhenATensorDoesNotFit) {
  CountingMemory memory;
  Workspace workspace(memory);
  const void* first = nullptr;
  {
    const Workspace::Scope scope(workspace);
    first = workspace.take(DType::u8, {1000}).data();
  }
  memory.limit_bytes = memory.held_bytes;
  EXPECT_THROW(workspace.take(DType::u8, {2 << 20}), MemoryError);

  const Workspace::Scope scope(workspace);
  EXPECT_EQ(workspace.take(DType::u8, {1000}).data(), first);
}

TEST(Workspace, GivesEverythingBack) {
  CountingMemory memory;
  {
    Workspace workspace(memory);
    take_some(workspace);
    EXPECT_GT(memory.held_bytes, 0U);
  }
  EXPECT_EQ(memory.held_bytes, 0U);
}

TEST(Workspace, HandsOutAlignedTensorsThatDoNotOverlap) {
  HostMemory memory;
  Workspace workspace(memory);
  const Workspace::Scope scope(workspace);
  const View a = workspace.take(DType::u8, {3});
  const View b = workspace.take(DType::u8, {3});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % 64, 0U);
  EXPECT_GE(b.as<std::uint8_t>(), a.as<std::uint8_t>() + 3);
}

TEST(Workspace, KeepsTheOuterScopeWhenTheInnerEnds) {
  HostMemory memory;
  Workspace workspace(memory);
  const Workspace::Scope outer(workspace);
  const View kept = workspace.take_zeros(DType::f32, {10});
  {
    const Workspace::Scope inner(workspace);
    // Larger than the first block: the workspace grows while `kept` is in use.
    const View large = workspace.take(DType::u8, {8 << 20});
    memory.zero(large.data(), 8 << 20);
    large.as<std::uint8_t>()[0] = 1;
  }
  const View next = workspace.take(DType::f32, {10});
  next.as<float>()[0] = 5.0F;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(kept.as<float>()[i], 0.0F);
}

TEST(Workspace, GivesOneLargeTensorNoMoreThanItNeeds) {
  CountingMemory memory;
  Workspace workspace(memory);
  {
    const Workspace::Scope scope(workspace);
    workspace.take(DType::u8, {100 << 20});
  }
  EXPECT_EQ(memory.held_bytes, std::size_t{100} << 20);
}

}  // namespace
}  // namespace strandline
