#include "core/cpu/simd/simd_tables.hpp"
#include "core/cpu/simd/table_of.hpp"

namespace strandline::cpu {

// 16 registers of 8 floats: 12 sums, 2 of B, 1 of A.
const SimdTable kAvx2Table = table_of<8, 6, 2>(CpuIsa::avx2);

}  // namespace strandline::cpu
