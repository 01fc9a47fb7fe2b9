// The reference back end: plain loops, one token at a time. Truth in double; in float it is the yardstick of error
// bounds.
#pragma once

#include <memory>

#include "core/backend.hpp"

namespace strandline {

/// @param dtype f64 (truth) or f32 (a plain version in single precision, for bounds). Single-threaded, never fast.
std::unique_ptr<Backend> make_ref_backend(DType dtype = DType::f64);

}  // namespace strandline
