// Contract of the iterated pseudo-inverse. Truth: core/ref/pseudo_inverse_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: H matrices of M rows and columns, dense. With the largest sum of |a| over a row of any of the matrices, c,
/// and over a column, r, and the unit matrix 1:
///
///     z = a^T / (c r)        iterations times:    z = z (13 - a z (15 - a z (7 - a z))) / 4
///
/// z tends to the Moore-Penrose inverse of a. z must not overlap a. H M = 0 does nothing.
/// c and r run over all matrices, as in the implementation that the published weights were trained with: a result
/// depends, though little, on the other matrices.
/// Cost: 8 H M^3 iterations floating-point operations; the backward three times that.
/// Source: Xiong et al. 2021 (arXiv 2102.03902), equation 11; Razavi et al. 2014.
struct PseudoInverseArgs {
  ConstView a_hmm;
  std::int64_t iterations = 6;
  View z_hmm;
};

/// da given dz, through all iterations and through c and r (of equal largest sums the first counts). da is overwritten
/// and must not overlap an input.
struct PseudoInverseBackwardArgs {
  ConstView a_hmm;
  std::int64_t iterations = 6;
  ConstView dz_hmm;
  View da_hmm;
};

/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void pseudo_inverse(Backend& backend, const PseudoInverseArgs& args);
void pseudo_inverse_backward(Backend& backend, const PseudoInverseBackwardArgs& args);

}  // namespace strandline::ops
