// Puts numbered items that finish in any order back into the order of their numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {

/// Holds back what came too early; memory is that of the items in flight. One thread at a time.
template <class Item>
class InOrder {
 public:
  /// Calls `use(item)` for every item that is now in turn, beginning with number 0.
  /// @throws ContractError when a number comes twice.
  template <class Use>
  void add(std::int64_t number, Item item, Use&& use) {
    if (number < next_ || !early_.emplace(number, std::move(item)).second) {
      throw ContractError("InOrder: item " + std::to_string(number) + " came twice");
    }
    while (!early_.empty() && early_.begin()->first == next_) {
      Item in_turn = std::move(early_.begin()->second);
      early_.erase(early_.begin());
      ++next_;
      use(std::move(in_turn));
    }
  }

  /// True when nothing is held back.
  bool empty() const { return early_.empty(); }

 private:
  std::int64_t next_ = 0;
  std::map<std::int64_t, Item> early_;
};

}  // namespace strandline
