#include "core/ref/embedding_ref.hpp"

#include "core/ref/element.hpp"

namespace strandline::ref {

template <class T>
void embedding(const ops::EmbeddingArgs& args) {
  for (std::int64_t t = 0; t < args.y_td.size(0); ++t) {
    const std::int32_t id = at<std::int32_t>(args.ids_t, t);
    for (std::int64_t d = 0; d < args.y_td.size(1); ++d) at<T>(args.y_td, t, d) = at<T>(args.table_vd, id, d);
  }
}

template <class T>
void embedding_backward(const ops::EmbeddingBackwardArgs& args) {
  for (std::int64_t t = 0; t < args.dy_td.size(0); ++t) {
    const std::int32_t id = at<std::int32_t>(args.ids_t, t);
    for (std::int64_t d = 0; d < args.dy_td.size(1); ++d) at<T>(args.dtable_vd, id, d) += at<T>(args.dy_td, t, d);
  }
}

template void embedding<double>(const ops::EmbeddingArgs&);
template void embedding<float>(const ops::EmbeddingArgs&);
template void embedding_backward<double>(const ops::EmbeddingBackwardArgs&);
template void embedding_backward<float>(const ops::EmbeddingBackwardArgs&);

}  // namespace strandline::ref
