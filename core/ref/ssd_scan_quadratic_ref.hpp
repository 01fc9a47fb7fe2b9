// The scan as masked attention: no state, every pair of tokens. The second of the three forms that must agree.
#pragma once

#include "core/ops/ssd_scan.hpp"

namespace strandline::ref {

/// y_t = sum_{s <= t} exp(A_t - A_s) (c_t . b_s) delta_s x_s  +  exp(A_t) state_0 c_t  +  d x_t,   A_t = sum_{r <= t}
/// delta_r a. All tensors hold double. Cost: length^2 (N + P) per head. Source: arXiv 2405.21060, section 4.1
/// ("attention mode").
void ssd_scan_quadratic(const ops::SsdScanArgs& args);

}  // namespace strandline::ref
