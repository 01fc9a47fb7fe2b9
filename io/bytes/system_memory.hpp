// How much memory a run may count on.
#pragma once

#include <cstdint>

namespace strandline {

/// Bytes that this process may still take: the least of what the machine has free and what its control groups (batch
/// systems, containers) leave. A very large number when the system does not say.
std::int64_t available_memory_bytes();

}  // namespace strandline
