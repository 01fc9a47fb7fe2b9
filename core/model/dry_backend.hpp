// A back end that computes nothing and counts: what a pass over a model will take in memory, from the very code that
// will take it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/backend.hpp"

namespace strandline {

/// What a dry run stands for.
struct DryRunOptions {
  DType dtype = DType::f32;     ///< of activations
  std::int64_t step_bytes = 1;  ///< sizes of blocks are multiples of this
  /// Scratch of an operation beside its tensors; absent: none.
  std::function<std::int64_t(const ops::OperationShape&)> scratch_bytes{};
  bool on_card = false;
};

/// Its memory hands out addresses that nothing may follow: uploads go nowhere, downloads are zeros. Argument checks
/// hold as everywhere. Its device is a card, so that no check looks at values.
class DryBackend : public Backend {
 public:
  /// Held at most at one time by tensors, without scratch.
  virtual std::int64_t peak_bytes() const = 0;
  /// The largest scratch of any operation so far, and the offsets of packs that a card keeps beside it.
  virtual std::int64_t scratch_peak_bytes() const = 0;
};

std::unique_ptr<DryBackend> make_dry_backend(const DryRunOptions& options);

}  // namespace strandline
