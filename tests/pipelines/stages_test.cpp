#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "pipelines/stages/bounded_queue.hpp"
#include "pipelines/stages/in_order.hpp"
#include "pipelines/stages/sink_stage.hpp"
#include "pipelines/stages/source_stage.hpp"

namespace strandline {
namespace {

using std::chrono_literals::operator""ms;
using testing::ElementsAre;

TEST(BoundedQueue, KeepsTheOrderAndEndsWhenClosed) {
  BoundedQueue<int> queue(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.push(i));
  queue.close();
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.pop(), 0);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, MakesTheFasterSideWait) {
  BoundedQueue<int> queue(2);
  std::atomic<int> pushed = 0;
  std::jthread producer([&] {
    for (int i = 0; i < 6; ++i) {
      queue.push(i);
      ++pushed;
    }
    queue.close();
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(pushed, 2);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(queue.pop(), i);
}

TEST(BoundedQueue, GivesTheFailureAfterTheItemsBeforeIt) {
  BoundedQueue<int> queue(2);
  queue.push(7);
  queue.fail(std::make_exception_ptr(std::runtime_error("broken")));
  EXPECT_EQ(queue.pop(), 7);
  EXPECT_THROW(queue.pop(), std::runtime_error);
}

TEST(BoundedQueue, RefusesToHoldNothing) { EXPECT_THROW(BoundedQueue<int>(0), ContractError); }

TEST(SourceStage, GivesItemsInOrder) {
  SourceStage<int> source(2, [](const SourceStage<int>::Emit& emit) {
    for (int i = 0; i < 100; ++i) emit(i);
  });
  for (int i = 0; i < 100; ++i) EXPECT_EQ(source.next(), i);
  EXPECT_EQ(source.next(), std::nullopt);
}

TEST(SourceStage, PassesAnErrorOnAfterTheItemsBeforeIt) {
  SourceStage<int> source(2, [](const SourceStage<int>::Emit& emit) {
    emit(1);
    throw DataError({.file = "x"}, "broken");
  });
  EXPECT_EQ(source.next(), 1);
  EXPECT_THROW(source.next(), DataError);
}

TEST(SourceStage, EndsWhenNobodyWantsMore) {
  std::atomic<bool> ended = false;
  {
    SourceStage<int> source(1, [&](const SourceStage<int>::Emit& emit) {
      const struct AtEnd {
        std::atomic<bool>& flag;
        ~AtEnd() { flag = true; }
      } at_end{ended};
      for (int i = 0;; ++i) emit(i);
    });
    EXPECT_EQ(source.next(), 0);
  }
  EXPECT_TRUE(ended);
}

TEST(SinkStage, UsesEverythingUpInOrderBeforeFinishReturns) {
  std::vector<int> seen;
  SinkStage<int> sink(2, [&](int item) { seen.push_back(item); });
  for (int i = 0; i < 5; ++i) sink.push(i);
  sink.finish();
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
}

TEST(SinkStage, PassesAnErrorBackToTheProducer) {
  SinkStage<int> sink(1, [](int item) {
    if (item == 3) throw IoError("out", "write", 28);
  });
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) sink.push(i);
        sink.finish();
      },
      IoError);
}

TEST(InOrder, HoldsBackWhatComesTooEarly) {
  InOrder<char> order;
  std::vector<char> seen;
  const auto use = [&](char item) { seen.push_back(item); };
  order.add(2, 'c', use);
  order.add(1, 'b', use);
  EXPECT_TRUE(seen.empty());
  order.add(0, 'a', use);
  EXPECT_THAT(seen, ElementsAre('a', 'b', 'c'));
  EXPECT_TRUE(order.empty());
  EXPECT_THROW(order.add(1, 'b', use), ContractError);
}

}  // namespace
}  // namespace strandline
