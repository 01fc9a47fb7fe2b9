// What an encoder and its classifier are. Plain values; every derived size has one definition here.
#pragma once

#include <cstdint>
#include <limits>

#include "core/ops/norm.hpp"
#include "core/ops/pool.hpp"

namespace strandline {

enum class Direction : std::uint8_t { causal, bidirectional };

/// How the two directions of a bidirectional block meet.
enum class Combine : std::uint8_t {
  add,     ///< out = W_f y_f + W_r y_r
  concat,  ///< out = [W_f y_f ; W_r y_r], each projection giving half of the model width
};

/// Names follow the Mamba-2 paper and its implementations.
struct EncoderConfig {
  std::int64_t vocab_size = 16;
  std::int64_t d_model = 128;
  std::int64_t layers = 4;
  std::int64_t d_state = 128;
  std::int64_t d_conv = 4;
  std::int64_t expand = 2;
  std::int64_t headdim = 64;
  std::int64_t groups = 1;
  std::int64_t chunk = 64;
  double dropout = 0.0;
  Direction direction = Direction::causal;
  Combine combine = Combine::add;
  bool tied_projections = true;  ///< both directions share in_proj and out_proj
  bool conv_bias = true;
  bool proj_bias = false;
  ops::GateOrder gate_order = ops::GateOrder::gate_then_norm;
  std::int64_t norm_groups = 1;  ///< parts that the gated norm normalises apart
  double norm_eps = 1e-5;
  double dt_limit_min = 0.0;
  double dt_limit_max = std::numeric_limits<double>::infinity();
  // Initialisation only.
  double dt_init_min = 1e-3;
  double dt_init_max = 1e-1;
  double dt_init_floor = 1e-4;
  double a_init_min = 1.0;
  double a_init_max = 16.0;

  std::int64_t d_inner() const { return expand * d_model; }
  std::int64_t heads() const { return d_inner() / headdim; }
  /// Channels through the convolution: x, B, C.
  std::int64_t conv_channels() const { return d_inner() + 2 * groups * d_state; }
  /// Rows of in_proj, in this order: z, x, B, C, dt.
  std::int64_t in_proj_rows() const { return d_inner() + conv_channels() + heads(); }
  std::int64_t out_proj_rows() const {
    return direction == Direction::bidirectional && combine == Combine::concat ? d_model / 2 : d_model;
  }
  int directions() const { return direction == Direction::bidirectional ? 2 : 1; }

  /// @throws ContractError naming the field, its value and what it may be.
  void validate() const;
  bool operator==(const EncoderConfig&) const = default;
};

enum class Pooling : std::uint8_t { mean, last, max, attention };

struct ClassifierConfig {
  EncoderConfig encoder;
  std::int64_t classes = 2;
  Pooling pooling = Pooling::mean;

  void validate() const;
  bool operator==(const ClassifierConfig&) const = default;
};

}  // namespace strandline
