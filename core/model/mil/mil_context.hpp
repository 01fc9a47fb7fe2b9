// What the parts of an aggregator work with, and the small shapes of rows they share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/backend.hpp"
#include "core/model/encoder.hpp"
#include "core/model/mil/mil_config.hpp"
#include "core/model/segments.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline {

/// Features of one slide's patches, row by row, in host memory: a file mapped into memory will do.
struct BagView {
  std::span<const float> features;
  std::int64_t patches = 0;
};

/// Outlived by the model that holds it; the parts keep a reference.
struct MilContext {
  const MilConfig& config;
  Backend& backend;
  Workspace& workspace;
  const Weights& weights;
  std::int64_t segment_patches;

  DType dtype() const { return backend.accumulate_dtype(); }
};

/// Dropout of one place of an aggregator: 0 is the projection, 1 and on are layers.
inline ops::DropoutArgs mil_dropout(const MilConfig& config, const DropoutDraw& draw, std::uint64_t place, View x_td) {
  constexpr std::uint64_t kSalt = 0x6d696c64726f7021U;  // apart from every other use of the run's seed
  constexpr std::uint64_t kPlaces = 8;
  return {.x_td = x_td,
          .p = config.dropout,
          .seed = draw.seed ^ kSalt,
          .stream = draw.draw * kPlaces + place,
          .y_td = x_td};
}

/// Calls body(range) for pieces of [0, rows), at most `piece` rows each.
template <class Body>
void for_pieces(std::int64_t rows, std::int64_t piece, const Body& body) {
  for (std::int64_t begin = 0; begin < rows; begin += piece) body(TokenRange{begin, std::min(rows, begin + piece)});
}

template <class AnyView>
AnyView rows_of(const AnyView& tensor_td, const TokenRange& range) {
  return tensor_td.slice(0, range.begin, range.end);
}

/// The same numbers under another dense shape.
inline View reshaped(const View& dense, const Shape& shape) {
  return {dense.data(), dense.dtype(), shape, dense.device()};
}

}  // namespace strandline
