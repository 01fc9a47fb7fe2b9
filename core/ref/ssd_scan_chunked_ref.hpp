// The scan by chunks: attention inside a chunk, recurrence between chunks. The third of the three forms that must
// agree, and the plain statement of what core/cpu and cuda do fast.
#pragma once

#include "core/ops/ssd_scan.hpp"

namespace strandline::ref {

/// All tensors hold double; `args.chunk` tokens per chunk. Source: arXiv 2405.21060, section 6 and listing 1.
void ssd_scan_chunked(const ops::SsdScanArgs& args);

/// The plain version for back ends that store bf16: the same in float, with both operands of every product (c * b,
/// weighed scores * x, c * state, x * weighed b) rounded to bf16 and the sums in float. All tensors hold float; outputs
/// are not rounded.
void ssd_scan_chunked_bf16(const ops::SsdScanArgs& args);

/// Gradients by chunks, from the state at each chunk's start and the gradient of the state at its end; the formulas are
/// those of docs/kernels/ssd_scan.md. All tensors hold double.
void ssd_scan_chunked_backward(const ops::SsdScanBackwardArgs& args);

/// The same in float with both operands of every product rounded to bf16, as above.
void ssd_scan_chunked_backward_bf16(const ops::SsdScanBackwardArgs& args);

}  // namespace strandline::ref
