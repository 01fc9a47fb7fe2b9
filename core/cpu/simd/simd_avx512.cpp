#include "core/cpu/simd/simd_tables.hpp"
#include "core/cpu/simd/table_of.hpp"

namespace strandline::cpu {

// 32 registers of 16 floats.
const SimdTable kAvx512Table = table_of<16, 8, 2>(CpuIsa::avx512);

}  // namespace strandline::cpu
