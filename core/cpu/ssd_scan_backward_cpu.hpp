// Gradients of the Mamba-2 scan on the CPU, by chunks. Contract: core/ops/ssd_scan.hpp. Mathematics, memory traffic and
// measurements: docs/kernels/ssd_scan.md.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/ssd_scan.hpp"

namespace strandline::cpu {

/// Two states (at the start of a chunk, and the gradient at its end) are kept for every chunk of one span of chunks,
/// and one state per span: about sqrt(T / chunk) states of H P N floats for one long sequence.
void ssd_scan_backward(CpuContext& context, const ops::SsdScanBackwardArgs& args);

}  // namespace strandline::cpu
