// One operation at one size on any back end: what `strandline bench` times and `strandline doctor` checks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.hpp"
#include "core/model/config.hpp"
#include "core/tensor/buffer.hpp"

namespace strandline {

struct OperationSizes {
  std::int64_t tokens = 0;
  EncoderConfig encoder;       ///< widths, heads, state, taps
  std::int64_t sequences = 1;  ///< that the tokens are cut into
};

/// Tensors of one case on one back end; the same numbers on every back end, whatever its precision: activations are
/// rounded to bf16 everywhere. Long tensors repeat their first rows.
class Tensors {
 public:
  Tensors(Backend& backend, const OperationSizes& sizes);

  struct Range {
    double low = -1.0;
    double high = 1.0;
  };
  View activation(const Shape& shape, Range range) { return random(backend_.dtype(), shape, range); }
  View activation(const Shape& shape) { return activation(shape, Range{}); }
  View weight(const Shape& shape, Range range) { return random(backend_.accumulate_dtype(), shape, range); }
  View weight(const Shape& shape) { return weight(shape, Range{}); }
  View empty_activation(const Shape& shape) { return empty(backend_.dtype(), shape); }
  /// Zeros, to be added to.
  View gradient(const Shape& shape);
  /// Numbers below `end`.
  View ids(std::int64_t count, std::int64_t end);
  std::span<const std::int64_t> seq_begin() const { return seq_begin_; }
  std::int64_t sequences() const { return static_cast<std::int64_t>(seq_begin_.size()) - 1; }

 private:
  View empty(DType dtype, const Shape& shape);
  View random(DType dtype, const Shape& shape, Range range);

  Backend& backend_;
  std::vector<std::int64_t> seq_begin_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::uint64_t stream_ = 0;
};

/// An operation with its tensors: run() may be called again and again.
struct Operation {
  std::shared_ptr<Tensors> tensors;
  std::function<void()> run;
  std::vector<View> outputs{};
  std::shared_ptr<double> number{};  ///< an output that is no tensor
  double flop = 0.0;                 ///< 0: not counted
};

struct OperationCase {
  std::string name;
  std::function<Operation(Backend& backend, const OperationSizes& sizes)> make;
};

/// Forward and backward of what an encoder is made of.
std::vector<OperationCase> encoder_operations();
/// All others: pooling, loss, optimiser, aggregators of slides.
std::vector<OperationCase> other_operations();

/// Largest error of any output against the reference in double, relative to that output's largest value.
double error_of(const OperationCase& operation, Backend& backend, const OperationSizes& sizes);
/// What error_of may be: of sums of a few hundred terms in fp32, or with terms rounded to bf16. A wrong kernel is wrong
/// by far more.
double error_bound(const Backend& backend);

double relative_error(std::span<const double> values, std::span<const double> truth);

}  // namespace strandline
