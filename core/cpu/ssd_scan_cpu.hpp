// The Mamba-2 scan on the CPU, by chunks. Contract: core/ops/ssd_scan.hpp. Mathematics, memory traffic and
// measurements: docs/kernels/ssd_scan.md.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/ssd_scan.hpp"

namespace strandline::cpu {

/// Scratch does not grow with T.
void ssd_scan(CpuContext& context, const ops::SsdScanArgs& args);

}  // namespace strandline::cpu
