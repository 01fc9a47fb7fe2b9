// The scratch that operations take, for plans of a run's memory: never less than what a call takes.
#pragma once

#include <cstdint>

#include "core/base/dtype.hpp"
#include "core/ops/operation_shape.hpp"
#include "cuda/plans/ssd_scan_plan.hpp"

namespace strandline::cuda {

/// Bytes of scratch of one call, with activations of `dtype`; `limits` as the scan itself has them. @throws
/// ContractError as the operation itself would.
std::int64_t scratch_bytes(const ops::OperationShape& shape, DType dtype, const SsdScanLimits& limits);

}  // namespace strandline::cuda
