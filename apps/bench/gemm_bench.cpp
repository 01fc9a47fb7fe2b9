// Speed of the CPU back end's matrix product, beside what the processor's multiply-add units can do.
// gemm_bench [threads]; the numbers of docs/kernels/linear.md come from here.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "core/cpu/gemm.hpp"
#include "core/cpu/simd/simd.hpp"

namespace {

using strandline::CpuIsa;
using strandline::Workspace;
namespace cpu = strandline::cpu;

struct Case {
  const char* what;
  std::int64_t m, n, k;
  bool a_transposed;
  bool b_transposed;
};

constexpr Case kCases[] = {
    {"in_proj forward, segment", 512, 1288, 256, false, true},
    {"in_proj dW, segment", 1288, 256, 512, true, false},
    {"in_proj forward (x W^T)", 4096, 1288, 256, false, true},
    {"out_proj forward", 4096, 256, 512, false, true},
    {"in_proj dx (dy W)", 4096, 256, 1288, false, false},
    {"in_proj dW (dy^T x)", 1288, 256, 4096, true, false},
    {"one short read", 100, 1288, 256, false, true},
    {"scan: C B^T", 64, 64, 128, false, true},
    {"scan: scores X", 64, 64, 64, false, false},
    {"scan: X^T B", 64, 128, 64, true, false},
    {"scan: C state^T", 64, 64, 128, false, true},
};

// Seconds of processor time per thread: on a machine shared with others, wall time would measure the others. The best
// of many samples of at least a millisecond each.
template <class F>
double best_seconds(int threads, F&& run) {
  const auto sample = [&](int repeats) {
    const std::clock_t begin = std::clock();
    for (int repeat = 0; repeat < repeats; ++repeat) run();
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / threads;
  };
  int repeats = 1;
  while (sample(repeats) < 1e-3) repeats *= 2;
  double best = 1e9;
  for (double total = 0.0; total < 1.0;) {
    const double seconds = sample(repeats);
    best = std::min(best, seconds / repeats);
    total += seconds;
  }
  return best;
}

// The tile on operands that stay in the first-level cache: what the units give when nothing has to be fetched.
double peak_gflops(const cpu::SimdTable& simd) {
  constexpr std::int64_t kDepth = 128;
  std::vector<float> a(static_cast<std::size_t>(kDepth * simd.gemm_rows), 1.0F);
  std::vector<float> b(static_cast<std::size_t>((kDepth + 16) * simd.gemm_columns), 1.0F);
  std::vector<float> c(static_cast<std::size_t>(simd.gemm_rows * simd.gemm_columns), 0.0F);
  constexpr int kRepeats = 1000;
  const double seconds = best_seconds(1, [&] {
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      simd.gemm_tile_a_columns(kDepth, a.data(), simd.gemm_rows, b.data(), c.data(), simd.gemm_columns, false);
    }
  });
  return 2.0 * kDepth * simd.gemm_rows * simd.gemm_columns * kRepeats / seconds * 1e-9;
}

double gflops(CpuIsa isa, const Case& shape, strandline::ThreadTeam& team, std::vector<Workspace>& scratch) {
  std::vector<float> a(static_cast<std::size_t>(shape.m * shape.k), 0.5F);
  std::vector<float> b(static_cast<std::size_t>(shape.k * shape.n), 0.25F);
  std::vector<float> c(static_cast<std::size_t>(shape.m * shape.n));
  const cpu::GemmArgs args{
      .m = shape.m,
      .n = shape.n,
      .k = shape.k,
      .a = shape.a_transposed ? cpu::MatrixIn{a.data(), 1, shape.m} : cpu::MatrixIn{a.data(), shape.k, 1},
      .b = shape.b_transposed ? cpu::MatrixIn{b.data(), 1, shape.k} : cpu::MatrixIn{b.data(), shape.n, 1},
      .c = c.data(),
      .c_row = shape.n};
  const double seconds = best_seconds(team.threads(), [&] { cpu::gemm_parallel(isa, args, team, scratch.data()); });
  return 2.0 * static_cast<double>(shape.m * shape.n * shape.k) / seconds * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  strandline::HostMemory memory;
  strandline::ThreadTeam team(threads);
  std::vector<Workspace> scratch;
  for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(memory);
  for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
    if (!strandline::has_cpu_isa(isa)) continue;
    const double peak = peak_gflops(cpu::simd_table(isa)) * threads;
    std::printf("%s, %d threads: tile in cache %.1f GFLOP/s\n", std::string(strandline::name_of(isa)).c_str(), threads,
                peak);
    for (const Case& shape : kCases) {
      const double speed = gflops(isa, shape, team, scratch);
      std::printf("  %-26s %5lld x %4lld x %4lld  %7.1f GFLOP/s  %3.0f %%\n", shape.what,
                  static_cast<long long>(shape.m), static_cast<long long>(shape.n), static_cast<long long>(shape.k),
                  speed, 100.0 * speed / peak);
    }
  }
  return 0;
}
