// Scratch tensors with the lifetime of a scope. After the first pass over a shape, taking costs no allocation.
#pragma once

#include <cstddef>
#include <vector>

#include "core/tensor/buffer.hpp"
#include "core/tensor/memory.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

/// A stack of tensors. Not thread-safe: one per thread.
/// Grows by blocks; when it becomes empty after having grown, the blocks are merged into one, so that the steady state
/// has a single block and takes nothing from the Memory.
class Workspace {
 public:
  explicit Workspace(Memory& memory) : memory_(memory) {}

  /// Everything taken while a Scope lives is given back when it ends. Scopes nest.
  class Scope {
   public:
    explicit Scope(Workspace& workspace);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& workspace_;
    std::size_t block_;
    std::size_t used_bytes_;
  };

  /// Content undefined, 64-byte aligned, dense. Valid until the innermost Scope ends.
  View take(DType dtype, const Shape& shape);
  /// The same, filled with zeros.
  View take_zeros(DType dtype, const Shape& shape);

  /// Makes room for so much at once. Nothing may be taken. With the peak of the largest pass, as a plan knows it,
  /// no pass grows the workspace, and it holds not a byte more than that. Never shrinks.
  /// @throws MemoryError, ContractError.
  void reserve(std::int64_t size_bytes);

  Memory& memory() const { return memory_; }
  /// The most that was taken at one time.
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  struct Block {
    Buffer bytes;
    std::size_t used_bytes = 0;
  };

  void merge_if_empty() noexcept;

  Memory& memory_;
  std::vector<Block> blocks_;
  std::size_t current_ = 0;  // blocks after this one are empty
  std::size_t peak_bytes_ = 0;
};

}  // namespace strandline
