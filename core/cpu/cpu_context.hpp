// What an operation of the CPU back end works with. Passed to every function of core/cpu/<op>_cpu.hpp.
#pragma once

#include <span>

#include "core/cpu/cpu_isa.hpp"
#include "core/cpu/simd/simd.hpp"
#include "core/cpu/thread_team.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline::cpu {

/// scratch[worker] belongs to that worker inside team.parallel_for, and worker 0 is the caller: what a function takes
/// from scratch[0] before parallel_for may be shared with all workers during it. Scratch is host memory.
struct CpuContext {
  CpuIsa isa;
  const SimdTable& simd;
  ThreadTeam& team;
  std::span<Workspace> scratch;
};

}  // namespace strandline::cpu
