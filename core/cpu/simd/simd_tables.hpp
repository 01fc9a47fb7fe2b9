// Where each simd_<isa>.cpp leaves its table; read through simd_table() only.
#pragma once

#include "core/cpu/simd/simd.hpp"

namespace strandline::cpu {

extern const SimdTable kBaselineTable;
extern const SimdTable kAvx2Table;
extern const SimdTable kAvx512Table;

}  // namespace strandline::cpu
