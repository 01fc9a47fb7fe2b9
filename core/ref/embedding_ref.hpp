// Truth of the embedding look-up: the formulas of core/ops/embedding.hpp, element by element.
#pragma once

#include "core/ops/embedding.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void embedding(const ops::EmbeddingArgs& args);

template <class T>
void embedding_backward(const ops::EmbeddingBackwardArgs& args);

extern template void embedding<double>(const ops::EmbeddingArgs&);
extern template void embedding<float>(const ops::EmbeddingArgs&);
extern template void embedding_backward<double>(const ops::EmbeddingBackwardArgs&);
extern template void embedding_backward<float>(const ops::EmbeddingBackwardArgs&);

}  // namespace strandline::ref
