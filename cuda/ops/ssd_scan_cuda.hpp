// The operations of core/ops/ssd_scan.hpp on the GPU.
#pragma once

#include "core/ops/ssd_scan.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void ssd_scan(Context& context, const ops::SsdScanArgs& args);
void ssd_scan_backward(Context& context, const ops::SsdScanBackwardArgs& args);

}  // namespace strandline::cuda
