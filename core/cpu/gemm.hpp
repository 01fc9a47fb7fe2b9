// Single-precision matrix product for the CPU back end, on one thread or on a team.
// Why not a BLAS: the sum over k must run in one order for every element, whatever the number of rows, or a record's
// bits would depend on its batch (docs/decisions/0002-own-gemm.md).
#pragma once

#include <cstdint>

#include "core/cpu/cpu_backend.hpp"
#include "core/cpu/thread_team.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline::cpu {

/// A matrix seen through a pointer and two strides (elements, may be negative): element (r, c) is data[r * row + c *
/// column].
struct MatrixIn {
  const float* data;
  std::int64_t row;
  std::int64_t column;
};

/// C[m, n] = sum_k A[m, k] * B[k, n] + (accumulate ? C[m, n] : 0). C has dense rows `c_row` apart.
/// Element (m, n) is one chain of fused multiply-adds over ascending k in blocks of kGemmDepth, the same for every M
/// and N.
struct GemmArgs {
  std::int64_t m;
  std::int64_t n;
  std::int64_t k;
  MatrixIn a;
  MatrixIn b;
  float* c;
  std::int64_t c_row;  ///< may be negative
  bool accumulate = false;
};

inline constexpr std::int64_t kGemmDepth = 256;

/// On the calling thread; packing scratch comes from `scratch`, which must belong to this thread.
void gemm(CpuIsa isa, const GemmArgs& args, Workspace& scratch);

/// Splits C over the team. `scratch_per_worker` points to team.threads() workspaces.
void gemm_parallel(CpuIsa isa, const GemmArgs& args, ThreadTeam& team, Workspace* scratch_per_worker);

}  // namespace strandline::cpu
