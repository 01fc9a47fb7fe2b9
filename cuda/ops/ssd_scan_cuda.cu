#include "cuda/ops/ssd_scan_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void ssd_scan(Context&, const ops::SsdScanArgs&) { throw UnavailableError("ssd_scan: not on the GPU yet"); }
void ssd_scan_backward(Context&, const ops::SsdScanBackwardArgs&) {
  throw UnavailableError("ssd_scan_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
