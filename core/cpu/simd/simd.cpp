#include "core/cpu/simd/simd.hpp"

#include "core/base/error.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/cpu/simd/simd_tables.hpp"

namespace strandline {

std::string_view name_of(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::baseline: return "baseline";
    case CpuIsa::avx2: return "avx2";
    case CpuIsa::avx512: return "avx512";
  }
  return "unknown";
}

#if defined(__x86_64__)

bool has_cpu_isa(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::baseline: return true;
    case CpuIsa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CpuIsa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && has_cpu_isa(CpuIsa::avx2);
  }
  return false;
}

namespace {
const cpu::SimdTable& table_of(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::avx2: return cpu::kAvx2Table;
    case CpuIsa::avx512: return cpu::kAvx512Table;
    case CpuIsa::baseline: break;
  }
  return cpu::kBaselineTable;
}
}  // namespace

#else

bool has_cpu_isa(CpuIsa isa) { return isa == CpuIsa::baseline; }

namespace {
const cpu::SimdTable& table_of(CpuIsa) { return cpu::kBaselineTable; }
}  // namespace

#endif

CpuIsa best_cpu_isa() {
  for (const CpuIsa isa : {CpuIsa::avx512, CpuIsa::avx2}) {
    if (has_cpu_isa(isa)) return isa;
  }
  return CpuIsa::baseline;
}

namespace cpu {

const SimdTable& simd_table(CpuIsa isa) {
  if (!has_cpu_isa(isa)) {
    throw UnavailableError("the instruction set " + std::string(name_of(isa)) +
                           " is missing from this processor or build");
  }
  return table_of(isa);
}

}  // namespace cpu
}  // namespace strandline
