#include "tests/core/backends.hpp"

#include "core/cpu/cpu_backend.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/ops/bf16_backend.hpp"

namespace strandline::testing {
namespace {

BackendCase cpu_case(const std::string& name, CpuIsa isa, int threads) {
  return {name, [isa, threads] { return make_cpu_backend({.threads = threads, .isa = isa}); },
          [isa] { return isa <= best_cpu_isa() ? "" : "this CPU has no such instructions"; }};
}

}  // namespace

std::vector<BackendCase> backend_cases() {
  return {{"Reference", [] { return make_ref_backend(DType::f64); }},
          cpu_case("CpuBaseline", CpuIsa::baseline, 1),
          cpu_case("CpuAvx2", CpuIsa::avx2, 3),
          cpu_case("CpuAvx512", CpuIsa::avx512, 3),
          {"Bf16Storage", [] { return test::make_bf16_storage_backend(make_cpu_backend({.threads = 1})); }}};
}

}  // namespace strandline::testing
