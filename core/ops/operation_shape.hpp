// The sizes of one call of an operation, without its tensors: enough to say what scratch a back end will take for it.
#pragma once

#include <cstdint>

namespace strandline::ops {

enum class OperationKind : std::uint8_t {
  linear,
  linear_backward,
  conv1d,
  conv1d_backward,
  ssd_scan,
  ssd_scan_backward,
  rms_norm,
  rms_norm_backward,
  gated_rms_norm,
  gated_rms_norm_backward,
  embedding,
  embedding_backward,
  pool,
  pool_backward,
  attention_pool,
  attention_pool_backward,
  cross_entropy,
  sum_of_squares,
};

/// What does not apply to an operation is 0.
struct OperationShape {
  OperationKind kind = OperationKind::linear;
  std::int64_t tokens = 0;     ///< rows; elements for sum_of_squares
  std::int64_t sequences = 0;  ///< of the pack
  std::int64_t channels = 0;   ///< of a row; of the output for linear; the width of the table for embedding
  std::int64_t inputs = 0;     ///< of linear; the rows of the table for embedding
  std::int64_t taps = 0;       ///< of the convolution
  std::int64_t heads = 0;      ///< of the scan, as are the rest
  std::int64_t headdim = 0;
  std::int64_t groups = 0;
  std::int64_t d_state = 0;
  std::int64_t chunk = 0;
};

}  // namespace strandline::ops
