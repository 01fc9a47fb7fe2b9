// Truth of the Mamba-2 scan: the recurrence of core/ops/ssd_scan.hpp, one token at a time.
#pragma once

#include "core/ops/ssd_scan.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds). `chunk` has no effect.
template <class T>
void ssd_scan(const ops::SsdScanArgs& args);

/// The reverse recurrence. Keeps one state per token of one head of one sequence: (length + 1) P N elements.
template <class T>
void ssd_scan_backward(const ops::SsdScanBackwardArgs& args);

extern template void ssd_scan<double>(const ops::SsdScanArgs&);
extern template void ssd_scan<float>(const ops::SsdScanArgs&);
extern template void ssd_scan_backward<double>(const ops::SsdScanBackwardArgs&);
extern template void ssd_scan_backward<float>(const ops::SsdScanBackwardArgs&);

}  // namespace strandline::ref
