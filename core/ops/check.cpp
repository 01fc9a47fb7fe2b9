#include "core/ops/check.hpp"

#include "core/base/error.hpp"

namespace strandline::ops {
namespace {

// Bytes from the first to one past the last element; {0, 0} when there are none. Strides are not negative at the seam.
struct Extent {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

std::int64_t elements_spanned(const ConstView& view, int first_axis) {
  std::int64_t last = 0;
  for (int axis = first_axis; axis < view.rank(); ++axis) {
    if (view.size(axis) == 0) return 0;
    last += (view.size(axis) - 1) * view.stride(axis);
  }
  return last + 1;
}

Extent extent_of(const ConstView& view) {
  if (view.elements() == 0) return {};
  const auto begin = reinterpret_cast<std::uintptr_t>(view.data());
  return {begin, begin + static_cast<std::uintptr_t>(elements_spanned(view, 0)) * size_of(view.dtype())};
}

// Two column ranges of rows that lie equally far apart, such as z and x inside the output of one projection: seen
// modulo the distance of the rows, the ranges [0, wa) and [offset, offset + wb) must not meet.
bool columns_apart(const ConstView& a, const ConstView& b) {
  if (a.rank() < 2 || b.rank() < 2 || a.dtype() != b.dtype() || a.stride(0) != b.stride(0) || a.stride(0) <= 0)
    return false;
  const auto element_bytes = static_cast<std::int64_t>(size_of(a.dtype()));
  const std::int64_t row_bytes = a.stride(0) * element_bytes;
  const std::int64_t a_bytes = elements_spanned(a, 1) * element_bytes;
  const std::int64_t b_bytes = elements_spanned(b, 1) * element_bytes;
  const auto difference = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(b.data()) -
                                                    reinterpret_cast<std::uintptr_t>(a.data()));
  const std::int64_t offset = ((difference % row_bytes) + row_bytes) % row_bytes;
  return a_bytes <= offset && offset + b_bytes <= row_bytes;
}

bool are_apart(const ConstView& a, const ConstView& b) {
  if (a.device() != b.device()) return true;
  const Extent first = extent_of(a);
  const Extent second = extent_of(b);
  return first.end <= second.begin || second.end <= first.begin || columns_apart(a, b);
}

bool are_same(const ConstView& a, const ConstView& b) {
  if (a.data() != b.data() || a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a.stride(axis) != b.stride(axis)) return false;
  }
  return true;
}

std::string quoted(const NamedView& tensor) { return std::string(tensor.name); }

// Whether two index tuples could name one element: each axis must step over all that is inside it.
bool rows_overlap(const ConstView& view) {
  if (view.elements() == 0) return false;
  for (int axis = view.rank() - 2; axis >= 0; --axis) {
    if (view.size(axis) > 1 && view.stride(axis) < elements_spanned(view, axis + 1)) return true;
  }
  return false;
}

std::string text_of(const Device& device) {
  return device.kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

}  // namespace

void Check::fail(const std::string& what) const { throw ContractError(std::string(op_) + ": " + what); }

void Check::that(bool holds, const std::string& what) const {
  if (!holds) fail(what);
}

void Check::placed(const NamedView& tensor) const {
  const ConstView& view = tensor.view;
  const Device wanted = backend_.memory().device();
  if (view.device() != wanted) {
    fail(quoted(tensor) + " is on " + text_of(view.device()) + ", the back end on " + text_of(wanted));
  }
  for (int axis = 0; axis < view.rank(); ++axis) {
    if (view.size(axis) < 0) fail(quoted(tensor) + " has the shape " + to_string(view.shape()));
  }
  const int last = view.rank() - 1;
  if (last >= 0 && view.size(last) > 1 && view.stride(last) != 1) {
    fail(quoted(tensor) + " " + to_string(view.shape()) + " has a last axis that is not dense (stride " +
         std::to_string(view.stride(last)) + ")");
  }
  if (view.data() == nullptr && view.elements() > 0)
    fail(quoted(tensor) + " " + to_string(view.shape()) + " has no data");
}

void Check::present(const NamedView& tensor, int rank) const {
  if (!tensor.view) fail(quoted(tensor) + " is absent");
  if (tensor.view.rank() != rank) {
    fail(quoted(tensor) + " has the shape " + to_string(tensor.view.shape()) + ", expected rank " +
         std::to_string(rank));
  }
  placed(tensor);
}

void Check::tensor(const NamedView& tensor, const Shape& shape, DType dtype) const {
  const ConstView& view = tensor.view;
  if (!view) return;
  if (view.shape() != shape) {
    fail(quoted(tensor) + " has the shape " + to_string(view.shape()) + ", expected " + to_string(shape));
  }
  if (view.dtype() != dtype) {
    fail(quoted(tensor) + " " + to_string(shape) + " holds " + std::string(name_of(view.dtype())) + ", expected " +
         std::string(name_of(dtype)));
  }
  placed(tensor);
  if (rows_overlap(view)) fail(quoted(tensor) + " " + to_string(shape) + " has rows that overlap each other");
}

void Check::activation(const NamedView& tensor, const Shape& shape) const {
  const bool accumulates = tensor.view && tensor.view.dtype() == backend_.accumulate_dtype();
  this->tensor(tensor, shape, accumulates ? backend_.accumulate_dtype() : backend_.dtype());
}

void Check::weight(const NamedView& tensor, const Shape& shape) const {
  this->tensor(tensor, shape, backend_.accumulate_dtype());
}

void Check::apart(const NamedView& output, const NamedView& input) const {
  if (!output.view || !input.view || are_apart(output.view, input.view)) return;
  fail(quoted(output) + " " + to_string(output.view.shape()) + " overlaps " + quoted(input) + " " +
       to_string(input.view.shape()));
}

void Check::apart_or_same(const NamedView& output, const NamedView& input) const {
  if (output.view && input.view && are_same(output.view, input.view)) return;
  apart(output, input);
}

void Check::outputs_apart(const NamedView& output, std::initializer_list<NamedView> others) const {
  for (const NamedView& other : others) apart(output, other);
}

std::int64_t Check::sequences(std::span<const std::int64_t> seq_begin, std::int64_t tokens) const {
  if (seq_begin.empty()) fail("seq_begin is empty, expected S + 1 offsets");
  if (seq_begin.front() != 0) fail("seq_begin starts at " + std::to_string(seq_begin.front()) + ", expected 0");
  for (std::size_t index = 1; index < seq_begin.size(); ++index) {
    if (seq_begin[index] < seq_begin[index - 1]) {
      fail("seq_begin[" + std::to_string(index) + "] = " + std::to_string(seq_begin[index]) + " is less than the " +
           std::to_string(seq_begin[index - 1]) + " before it");
    }
  }
  if (seq_begin.back() != tokens) {
    fail("seq_begin ends at " + std::to_string(seq_begin.back()) + ", but there are " + std::to_string(tokens) +
         " tokens");
  }
  return static_cast<std::int64_t>(seq_begin.size()) - 1;
}

}  // namespace strandline::ops
