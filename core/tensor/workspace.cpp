#include "core/tensor/workspace.hpp"

#include <algorithm>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline {
namespace {
constexpr std::int64_t kAlignmentBytes = 64;
constexpr std::int64_t kSmallestBlockBytes = 1 << 20;
}  // namespace

Workspace::Scope::Scope(Workspace& workspace)
    : workspace_(workspace),
      block_(workspace.current_),
      used_bytes_(workspace.blocks_.empty() ? 0 : workspace.blocks_[workspace.current_].used_bytes) {}

Workspace::Scope::~Scope() {
  auto& blocks = workspace_.blocks_;
  for (std::size_t later = block_ + 1; later < blocks.size(); ++later) blocks[later].used_bytes = 0;
  if (!blocks.empty()) blocks[block_].used_bytes = used_bytes_;
  workspace_.current_ = block_;
  workspace_.merge_if_empty();
}

View Workspace::take(DType dtype, const Shape& shape) {
  const std::int64_t bytes =
      round_up(checked_product(shape.elements(), static_cast<std::int64_t>(size_of(dtype))), kAlignmentBytes);
  const auto size_bytes = static_cast<std::size_t>(bytes);
  std::size_t chosen = current_;
  while (chosen < blocks_.size() && blocks_[chosen].used_bytes + size_bytes > blocks_[chosen].bytes.size_bytes())
    ++chosen;
  if (chosen == blocks_.size()) {
    const std::int64_t last = blocks_.empty() ? 0 : static_cast<std::int64_t>(blocks_.back().bytes.size_bytes());
    // A block for one large tensor is exactly as large as it: doubling would cost gigabytes at a million tokens.
    const std::int64_t block_bytes = std::max({bytes, std::min<std::int64_t>(last, 64 << 20), kSmallestBlockBytes});
    blocks_.push_back({Buffer(memory_, DType::u8, {block_bytes})});
  }
  current_ = chosen;  // only now: without memory for a new block everything stays as it was
  Block& block = blocks_[current_];
  auto* data = static_cast<std::byte*>(block.bytes.view().data()) + block.used_bytes;
  block.used_bytes += size_bytes;
  std::size_t total = 0;
  for (const Block& each : blocks_) total += each.used_bytes;
  peak_bytes_ = std::max(peak_bytes_, total);
  return {data, dtype, shape, memory_.device()};
}

View Workspace::take_zeros(DType dtype, const Shape& shape) {
  const View view = take(dtype, shape);
  memory_.zero(view.data(), static_cast<std::size_t>(view.elements()) * size_of(dtype));
  return view;
}

void Workspace::reserve(std::int64_t size_bytes) {
  std::int64_t held = 0;
  for (const Block& block : blocks_) {
    if (block.used_bytes > 0) throw ContractError("workspace: reserve while tensors are taken");
    held = std::max(held, static_cast<std::int64_t>(block.bytes.size_bytes()));
  }
  if (held >= size_bytes) return;
  // The old room goes back first: both at once may not fit.
  blocks_.clear();
  current_ = 0;
  memory_.release_unused();
  blocks_.push_back({Buffer(memory_, DType::u8, {size_bytes})});
}

void Workspace::merge_if_empty() noexcept {
  if (blocks_.size() < 2) return;
  std::int64_t total = 0;
  for (const Block& block : blocks_) {
    if (block.used_bytes > 0) return;
    total += static_cast<std::int64_t>(block.bytes.size_bytes());
  }
  blocks_.clear();
  current_ = 0;
  try {
    memory_.release_unused();  // the old blocks must not wait in a cache beside the new one
    blocks_.push_back({Buffer(memory_, DType::u8, {total})});
  } catch (...) {
    blocks_.clear();  // a scope may end because the device failed; the next tensor asks again, and reports
  }
}

}  // namespace strandline
