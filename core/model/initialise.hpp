// First values of a model's weights.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/philox.hpp"
#include "core/model/config.hpp"
#include "core/model/weights.hpp"

namespace strandline {

/// Fills every tensor of the layout. A tensor's numbers depend on the seed and its name only, and are exact in float,
/// so that a model starts from the same bits on every back end, and a head can change without changing the encoder.
///
///     embedding            normal(0, 0.02)
///     in_proj, head, score uniform(+-1 / sqrt(inputs)); biases of projections and head zero
///     out_proj             the same over sqrt(layers), so that the residual's variance does not grow with depth
///     conv1d               weight and bias uniform(+-1 / sqrt(taps))
///     dt_bias              softplus^-1(step), step log-uniform in [dt_init_min, dt_init_max], at least dt_init_floor
///     A_log                log of uniform [a_init_min, a_init_max]
///     D, norms             1
///
/// Source: Dao and Gu 2024 (arXiv 2405.21060) and its implementation; Gu and Dao 2023 (arXiv 2312.00752), section 3.6.
void initialise(const EncoderConfig& config, std::uint64_t seed, Weights& weights);

/// One number of one tensor of a block, by the rules above.
double draw_weight(const EncoderConfig& config, const WeightSpec& spec, RandomStream& random);

/// Fills every tensor by `draw`, which gets a stream of its own for each.
using WeightDraw = std::function<double(const WeightSpec& spec, RandomStream& random)>;
void fill_weights(std::uint64_t seed, const WeightDraw& draw, Weights& weights);

}  // namespace strandline
