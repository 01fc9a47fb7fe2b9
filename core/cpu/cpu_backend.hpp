// The CPU back end: fp32, blocked, threaded, vectorised.
#pragma once

#include <memory>
#include <string_view>

#include "core/backend.hpp"
#include "core/cpu/cpu_isa.hpp"

namespace strandline {

std::string_view name_of(CpuIsa isa);

/// Whether this processor and this build have it.
bool has_cpu_isa(CpuIsa isa);

/// The best instruction set that this processor and this build have.
CpuIsa best_cpu_isa();

/// Processors that this process may use (affinity mask), at least 1.
int available_threads();

struct CpuOptions {
  int threads = 0;              ///< 0: available_threads()
  CpuIsa isa = best_cpu_isa();  ///< forcing a lower one is for tests; @throws UnavailableError when not supported
};

/// Results have the same bits for any number of threads.
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options = {});

}  // namespace strandline
