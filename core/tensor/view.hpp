// Tensors seen, not owned: pointer, element type, device, shape and strides. The only form in which tensors cross the
// seam.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "core/base/dtype.hpp"

namespace strandline {

inline constexpr int kMaxRank = 4;

/// Sizes or strides, outermost first. Plain value.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return sizes_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return sizes_[static_cast<std::size_t>(axis)]; }
  /// Product of the sizes; 1 for rank 0. @throws ContractError when it does not fit in int64.
  std::int64_t elements() const;
  bool operator==(const Shape&) const = default;

 private:
  int rank_ = 0;
  std::array<std::int64_t, kMaxRank> sizes_{};
};

/// "[3, 4]"
std::string to_string(const Shape& shape);

enum class DeviceKind : std::uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

/// Strides count elements. A default-constructed view is absent: optional arguments use that.
class ConstView {
 public:
  ConstView() = default;
  /// Row-major, densely packed.
  ConstView(const void* data, DType dtype, const Shape& shape, Device device = {});
  ConstView(const void* data, DType dtype, const Shape& shape, const Shape& strides, Device device);

  explicit operator bool() const { return present_; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  int rank() const { return shape_.rank(); }
  const Shape& shape() const { return shape_; }
  std::int64_t size(int axis) const { return shape_[axis]; }
  std::int64_t stride(int axis) const { return strides_[axis]; }
  std::int64_t elements() const { return shape_.elements(); }
  bool is_dense() const;
  const void* data() const { return data_; }

  /// @throws ContractError when T is not the element type.
  template <class T>
  const T* as() const {
    require_dtype(dtype_of<T>());
    return static_cast<const T*>(data_);
  }

  /// Elements [begin, end) of one axis.
  ConstView slice(int axis, std::int64_t begin, std::int64_t end) const;
  /// Splits the last axis into (outer, size / outer): (T, H*P) becomes (T, H, P).
  ConstView split_last(std::int64_t outer) const;

 protected:
  void require_dtype(DType wanted) const;

  const void* data_ = nullptr;
  DType dtype_ = DType::f32;
  Device device_{};
  Shape shape_{};
  Shape strides_{};
  bool present_ = false;
};

/// The same, writable.
class View : public ConstView {
 public:
  View() = default;
  View(void* data, DType dtype, const Shape& shape, Device device = {}) : ConstView(data, dtype, shape, device) {}
  View(void* data, DType dtype, const Shape& shape, const Shape& strides, Device device)
      : ConstView(data, dtype, shape, strides, device) {}

  void* data() const { return const_cast<void*>(data_); }

  template <class T>
  T* as() const {
    require_dtype(dtype_of<T>());
    return static_cast<T*>(data());
  }

  View slice(int axis, std::int64_t begin, std::int64_t end) const { return View(ConstView::slice(axis, begin, end)); }
  View split_last(std::int64_t outer) const { return View(ConstView::split_last(outer)); }

 private:
  explicit View(const ConstView& view) : ConstView(view) {}
};

}  // namespace strandline
