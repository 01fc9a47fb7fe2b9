#include "core/tensor/view.hpp"

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline {
namespace {

Shape dense_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step = checked_product(step, shape[axis]);
  }
  return strides;
}

// Like Shape, but with one axis split in two.
Shape with_split_last(const Shape& shape, std::int64_t first, std::int64_t second) {
  switch (shape.rank()) {
    case 1: return {first, second};
    case 2: return {shape[0], first, second};
    case 3: return {shape[0], shape[1], first, second};
    default: throw ContractError("split_last: rank " + std::to_string(shape.rank()) + " cannot grow");
  }
}

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> sizes) {
  if (sizes.size() > kMaxRank) throw ContractError("shape has more than 4 axes");
  for (const std::int64_t size : sizes) sizes_[static_cast<std::size_t>(rank_++)] = size;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product = checked_product(product, (*this)[axis]);
  return product;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int axis = 0; axis < shape.rank(); ++axis) text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

ConstView::ConstView(const void* data, DType dtype, const Shape& shape, Device device)
    : ConstView(data, dtype, shape, dense_strides(shape), device) {}

ConstView::ConstView(const void* data, DType dtype, const Shape& shape, const Shape& strides, Device device)
    : data_(data), dtype_(dtype), device_(device), shape_(shape), strides_(strides), present_(true) {
  if (shape.rank() != strides.rank()) {
    throw ContractError("view: shape " + to_string(shape) + " and strides " + to_string(strides) + " differ in rank");
  }
}

bool ConstView::is_dense() const { return strides_ == dense_strides(shape_); }

ConstView ConstView::slice(int axis, std::int64_t begin, std::int64_t end) const {
  if (axis < 0 || axis >= rank() || begin < 0 || begin > end || end > size(axis)) {
    throw ContractError("slice [" + std::to_string(begin) + ", " + std::to_string(end) + ") of axis " +
                        std::to_string(axis) + " is outside " + to_string(shape_));
  }
  ConstView part = *this;
  part.data_ = static_cast<const std::byte*>(data_) +
               checked_product(begin, stride(axis)) * static_cast<std::int64_t>(size_of(dtype_));
  part.shape_[axis] = end - begin;
  return part;
}

ConstView ConstView::split_last(std::int64_t outer) const {
  const int last = rank() - 1;
  if (last < 0 || outer <= 0 || size(last) % outer != 0) {
    throw ContractError("split_last: " + to_string(shape_) + " does not split into " + std::to_string(outer));
  }
  const std::int64_t inner = size(last) / outer;
  ConstView parts = *this;
  parts.shape_ = with_split_last(shape_, outer, inner);
  parts.strides_ = with_split_last(strides_, inner * stride(last), stride(last));
  return parts;
}

void ConstView::require_dtype(DType wanted) const {
  if (present_ && dtype_ != wanted) {
    throw ContractError("tensor holds " + std::string(name_of(dtype_)) + ", not " + std::string(name_of(wanted)));
  }
}

}  // namespace strandline
