// The scan by chunks: attention inside a chunk, recurrence between chunks. The third of the three forms that must
// agree, and the plain statement of what core/cpu and cuda do fast.
#pragma once

#include "core/ops/ssd_scan.hpp"

namespace strandline::ref {

/// All tensors hold double; `args.chunk` tokens per chunk. Source: arXiv 2405.21060, section 6 and listing 1.
void ssd_scan_chunked(const ops::SsdScanArgs& args);

}  // namespace strandline::ref
