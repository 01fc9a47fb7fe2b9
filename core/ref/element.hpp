// How the reference reads a tensor: one element at a time, by its indices. Clear, and slow on purpose.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline::ref {

/// Offset of one element, in elements. As many indices as the tensor has axes.
template <class... Index>
std::int64_t offset_of(const ConstView& view, Index... index) {
  std::int64_t offset = 0;
  int axis = 0;
  ((offset += static_cast<std::int64_t>(index) * view.stride(axis++)), ...);
  return offset;
}

template <class T, class... Index>
const T& at(const ConstView& view, Index... index) {
  return view.as<T>()[offset_of(view, index...)];
}

template <class T, class... Index>
T& at(const View& view, Index... index) {
  return view.as<T>()[offset_of(view, index...)];
}

/// The element, or `otherwise` when the tensor is absent.
template <class T, class... Index>
T at_or(T otherwise, const ConstView& view, Index... index) {
  return view ? at<T>(view, index...) : otherwise;
}

/// Token number of place `i` in scan order of the sequence [begin, end).
inline std::int64_t token_at(std::int64_t begin, std::int64_t end, bool reverse, std::int64_t i) {
  return reverse ? end - 1 - i : begin + i;
}

}  // namespace strandline::ref
