// Contract of the embedding look-up. Truth: core/ref/embedding_ref.hpp.
#pragma once

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T tokens, V vocabulary, D model width. ids are i32 in [0, V); an id outside is an error where the ids are
/// in host memory, and undefined elsewhere.
///
///     y[t, :] = table[ids[t], :]
struct EmbeddingArgs {
  ConstView ids_t;
  ConstView table_vd;
  View y_td;
};

/// dtable[ids[t], :] += dy[t, :], summed over t in ascending order.
struct EmbeddingBackwardArgs {
  ConstView ids_t;
  ConstView dy_td;
  View dtable_vd;
};

/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void embedding(Backend& backend, const EmbeddingArgs& args);
void embedding_backward(Backend& backend, const EmbeddingBackwardArgs& args);

}  // namespace strandline::ops
