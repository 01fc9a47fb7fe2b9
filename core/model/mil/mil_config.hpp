// What an aggregator of multiple-instance learning is: from the features of a slide's patches to one prediction.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/model/config.hpp"
#include "core/ops/activation.hpp"

namespace strandline {

enum class MilKind : std::uint8_t {
  mean,        ///< mean of the projected features
  max,         ///< largest value of each projected feature
  abmil,       ///< attention pooling (Ilse 2018)
  clam_sb,     ///< the same, gated, with a loss on the patches of most and least attention (Lu 2021)
  trans_mil,   ///< Nystrom attention and a convolution for places (Shao 2021)
  mamba2_mil,  ///< three orders of the patches through Mamba-2 blocks of their own (as released in 2024)
  bi_mamba,    ///< ours: bidirectional pre-norm Mamba-2 blocks, attention pooling
};

/// What mamba2_mil's second branch reverses. Its release reverses the channels, its paper speaks of the patches.
enum class Flip : std::uint8_t { channel, token };

/// How mamba2_mil fills a square: with the first patches once more, as released, or not at all; then the transposed
/// order walks the columns of a square whose last row is short.
enum class SquarePadding : std::uint8_t { wrap, none };

/// "mean", "max", "abmil", "clam_sb", "transmil", "mamba2mil", "bimamba"; "channel", "token"; "wrap", "none"; "relu",
/// "gelu", "tanh", "sigmoid".
std::string_view name_of(MilKind kind);
std::string_view name_of(Flip flip);
std::string_view name_of(SquarePadding padding);
std::string_view name_of(ops::ActivationKind kind);
/// False when there is no such name; `value` is then as before.
bool parse(std::string_view name, MilKind& value);
bool parse(std::string_view name, Flip& value);
bool parse(std::string_view name, SquarePadding& value);
bool parse(std::string_view name, ops::ActivationKind& value);
std::optional<MilKind> mil_kind_of(std::string_view name);

/// A field that a kind has no use for is ignored by it.
struct MilConfig {
  MilKind kind = MilKind::abmil;
  std::int64_t in_features = 1024;  ///< width of a patch's features
  std::int64_t classes = 2;
  std::int64_t d_model = 512;  ///< after the projection
  ops::ActivationKind activation = ops::ActivationKind::relu;
  double dropout = 0.25;  ///< after the projection; trans_mil: after each attention instead
  std::int64_t attention_width = 128;
  bool gated = false;
  // clam_sb
  std::int64_t instance_patches = 8;  ///< of most attention, and as many of least; a smaller bag gives all it has
  double instance_weight = 0.3;       ///< loss = (1 - w) bag + w instance
  // mamba2_mil, bi_mamba
  std::int64_t layers = 2;
  std::int64_t d_state = 64;
  std::int64_t d_conv = 4;
  std::int64_t expand = 2;
  std::int64_t headdim = 64;
  std::int64_t chunk = 64;
  Flip flip = Flip::channel;
  SquarePadding padding = SquarePadding::wrap;
  // trans_mil
  std::int64_t heads = 8;
  std::int64_t landmarks = 256;
  std::int64_t pinv_iterations = 6;
  std::int64_t residual_taps = 33;

  /// The blocks of mamba2_mil and bi_mamba.
  EncoderConfig encoder() const;
  /// @throws ContractError naming the field, its value and what it may be.
  void validate() const;
  bool operator==(const MilConfig&) const = default;
};

/// The published architecture of a kind; for bi_mamba ours.
MilConfig published_config(MilKind kind, std::int64_t in_features, std::int64_t classes);

/// Calls visit(name, field) for every field in order: one place to write a configuration down and to read it back.
/// Fields are std::int64_t, double, bool and the four enumerations above.
template <class Config, class Visit>
void visit_fields(Config& config, Visit&& visit) {
  visit("kind", config.kind);
  visit("in_features", config.in_features);
  visit("classes", config.classes);
  visit("d_model", config.d_model);
  visit("activation", config.activation);
  visit("dropout", config.dropout);
  visit("attention_width", config.attention_width);
  visit("gated", config.gated);
  visit("instance_patches", config.instance_patches);
  visit("instance_weight", config.instance_weight);
  visit("layers", config.layers);
  visit("d_state", config.d_state);
  visit("d_conv", config.d_conv);
  visit("expand", config.expand);
  visit("headdim", config.headdim);
  visit("chunk", config.chunk);
  visit("flip", config.flip);
  visit("padding", config.padding);
  visit("heads", config.heads);
  visit("landmarks", config.landmarks);
  visit("pinv_iterations", config.pinv_iterations);
  visit("residual_taps", config.residual_taps);
}

}  // namespace strandline
