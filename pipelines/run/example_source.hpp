// What a trainer learns from: numbered examples. Nothing here knows what a token stands for.
#pragma once

#include <cstdint>
#include <vector>

namespace strandline {

/// Example number i is a pure function of i: no state, so that a run resumes from one integer and any thread may ask.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;

  /// Number of examples; an endless source says kEndless.
  virtual std::int64_t size() const = 0;
  /// Replaces `ids` by the tokens of example `index` in [0, size()) and returns its class.
  virtual std::int32_t example(std::int64_t index, std::vector<std::int32_t>& ids) const = 0;

  static constexpr std::int64_t kEndless = INT64_MAX;
};

}  // namespace strandline
