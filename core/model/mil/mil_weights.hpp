// The tensors of an aggregator: their names, shapes and first values.
#pragma once

#include <cstdint>
#include <string>

#include "core/model/mil/mil_config.hpp"
#include "core/model/weights.hpp"

namespace strandline {

/// stem.{weight,bias} · the body's · attention.{hidden,gate,score}.{weight,bias} · instance.C.{weight,bias} (clam_sb,
/// one for each class) · head.{weight,bias}. The body's: branches.B.layers.L.mixer.* and norm.{weight,bias} for
/// mamba2_mil; cls_token, layers.{0,1}.{norm,out}.{weight,bias}, layers.{0,1}.{qkv,residual}.weight,
/// ppeg.{7,5,3}.{weight,bias} and norm.{weight,bias} for trans_mil; backbone.layers.L.* and backbone.norm_f.weight, as
/// an encoder has, for bi_mamba.
/// @throws ContractError when the configuration is not valid.
WeightLayout mil_layout(const MilConfig& config);

/// Attention pooling has weights; mean and max have none, and trans_mil ends in one vector.
bool has_attention_net(MilKind kind);

inline constexpr int kMilBranches = 3;
/// Branch 0 of mamba2_mil keeps the order, 1 is reversed, 2 transposed.
BlockPlace branch_place(int branch, std::int64_t layer);
/// Of bi_mamba.
BlockPlace backbone_place(std::int64_t layer);

/// The sides of trans_mil's convolutions over the grid of patches, and the name of each: "ppeg.7".
inline constexpr std::int64_t kPlaceTaps[] = {7, 5, 3};
std::string place_name(std::int64_t taps);

/// Matrices normal(0, sqrt(2 / (inputs + outputs))), biases 0, norms 1; taps of a grid uniform(+-1 / sqrt(taps)); the
/// blocks' other tensors, and all of bi_mamba's blocks, as core/model/initialise.hpp says. A tensor's numbers depend on
/// the seed and its name only, and are exact in float. Source: Glorot and Bengio 2010, as the published aggregators do.
void initialise(const MilConfig& config, std::uint64_t seed, Weights& weights);

}  // namespace strandline
