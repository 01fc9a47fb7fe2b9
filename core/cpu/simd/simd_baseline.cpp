#include "core/cpu/simd/simd_tables.hpp"
#include "core/cpu/simd/table_of.hpp"

namespace strandline::cpu {

// 16 registers of 4 floats: 8 sums, 2 of B, and room for products where there is no FMA.
const SimdTable kBaselineTable = table_of<4, 4, 2>(CpuIsa::baseline);

}  // namespace strandline::cpu
