#include "core/cpu/thread_team.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/base/error.hpp"

namespace strandline::test {
namespace {

TEST(ThreadTeam, CallsTheBodyOnceForEveryIndex) {
  for (const int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    for (const std::int64_t count : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));

      team.parallel_for(count, [&](std::int64_t index, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        ++calls[static_cast<std::size_t>(index)];
      });

      for (const auto& each : calls) EXPECT_EQ(each.load(), 1);
    }
  }
}

TEST(ThreadTeam, HasFinishedEveryIndexWhenItReturns) {
  ThreadTeam team(4);
  std::vector<int> sums(64);
  for (int round = 1; round <= 20000; ++round) {
    team.parallel_for(64, [&](std::int64_t index, int) { sums[static_cast<std::size_t>(index)] += 1; });
    ASSERT_EQ(sums[static_cast<std::size_t>(round % 64)], round);
  }

  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0), 64 * 20000);
}

TEST(ThreadTeam, GivesTwoIndicesAtOnceToDifferentWorkers) {
  ThreadTeam team(3);
  std::vector<std::atomic<int>> busy(3);

  team.parallel_for(3000, [&](std::int64_t, int worker) {
    EXPECT_EQ(busy[static_cast<std::size_t>(worker)]++, 0);
    --busy[static_cast<std::size_t>(worker)];
  });
}

TEST(ThreadTeam, RethrowsTheFirstExceptionAndGoesOnWorking) {
  ThreadTeam team(3);
  const auto fail = [&] {
    team.parallel_for(100, [](std::int64_t index, int) {
      if (index == 17) throw std::runtime_error("seventeen");
    });
  };

  EXPECT_THROW(fail(), std::runtime_error);

  std::atomic<int> calls = 0;
  team.parallel_for(100, [&](std::int64_t, int) { ++calls; });
  EXPECT_EQ(calls, 100);
}

TEST(ThreadTeam, RefusesToHaveNoThreads) { EXPECT_THROW(ThreadTeam(0), ContractError); }

}  // namespace
}  // namespace strandline::test
