// How gtest prints the enumerators that tests are instantiated with: by name, not as bytes.
#pragma once

#include <ostream>

#include "core/base/dtype.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/model/config.hpp"
#include "core/model/mil/mil_config.hpp"

namespace strandline {

inline void PrintTo(DType value, std::ostream* out) { *out << name_of(value); }
inline void PrintTo(CpuIsa value, std::ostream* out) { *out << name_of(value); }
inline void PrintTo(MilKind value, std::ostream* out) { *out << name_of(value); }
inline void PrintTo(Direction value, std::ostream* out) {
  *out << (value == Direction::causal ? "causal" : "bidirectional");
}

}  // namespace strandline
