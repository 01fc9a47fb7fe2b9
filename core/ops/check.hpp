// Argument checks shared by the operations. Messages name the operation, the tensor and both shapes.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/backend.hpp"
#include "core/tensor/view.hpp"

namespace strandline::ops {

/// A tensor with the name that a message gives it.
struct NamedView {
  std::string_view name;
  ConstView view;
};

/// The checks of one call of one operation. Every function throws ContractError; absent views are refused only by
/// `present` and, where they are given a shape, skipped otherwise.
class Check {
 public:
  Check(std::string_view op, Backend& backend) : op_(op), backend_(backend) {}

  /// Present, of this rank, on the back end's device.
  void present(const NamedView& tensor, int rank) const;
  /// If present: of this shape, element type, on the back end's device, last axis dense, rows not overlapping each
  /// other.
  void tensor(const NamedView& tensor, const Shape& shape, DType dtype) const;
  /// The same with the back end's type of activations, or its accumulation type (the residual stream is in that).
  void activation(const NamedView& tensor, const Shape& shape) const;
  /// The same with the back end's accumulation type: weights, gradients and states.
  void weight(const NamedView& tensor, const Shape& shape) const;
  /// If both are present: not one byte in common. Judged by the span from first to last element, except that views of
  /// interleaved columns of one row-strided tensor are told apart.
  void apart(const NamedView& output, const NamedView& input) const;
  /// Either apart, or the very same elements.
  void apart_or_same(const NamedView& output, const NamedView& input) const;
  void outputs_apart(const NamedView& output, std::initializer_list<NamedView> others) const;
  /// S + 1 ascending offsets: first 0, last `tokens`. @returns S
  std::int64_t sequences(std::span<const std::int64_t> seq_begin, std::int64_t tokens) const;
  /// Anything else: "op: what" when it does not hold.
  void that(bool holds, const std::string& what) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  void placed(const NamedView& tensor) const;

  std::string_view op_;
  Backend& backend_;
};

}  // namespace strandline::ops
