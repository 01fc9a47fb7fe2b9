// Clipping of the gradient by its global norm.
#pragma once

#include "core/model/weights.hpp"

namespace strandline {

class Backend;

/// sqrt of the sum of squares of all gradients; not finite as soon as one of them is not. Waits for the stream.
double global_norm(Backend& backend, const Weights& gradients);

/// Factor that brings `norm` down to `max_norm`: min(1, max_norm / norm); max_norm <= 0: no clipping.
/// Source: Pascanu, Mikolov, Bengio 2013 (arXiv 1211.5063), algorithm 1.
double clip_factor(double norm, double max_norm);

}  // namespace strandline
