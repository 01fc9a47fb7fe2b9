// What a back end with activations in bf16 and sums in float must give, on the CPU: every tensor of bf16 is read into
// float, another back end computes, and the outputs are rounded. Stands in for a GPU where there is none, and is the
// yardstick of those that there are.
#pragma once

#include <memory>

#include "core/backend.hpp"

namespace strandline::test {

/// Storage in bf16 around `inner`, which computes in f32 in host memory. The operands of the linear map are rounded to
/// bf16, weights too; everything else is as `inner` does it.
std::unique_ptr<Backend> make_bf16_storage_backend(std::unique_ptr<Backend> inner);

/// The same around the plain loops of the reference in float, with the scan by chunks and the operands of its products
/// rounded to bf16: what the bound of bf16 back ends is derived from.
std::unique_ptr<Backend> make_plain_bf16_backend();

}  // namespace strandline::test
