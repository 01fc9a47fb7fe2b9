#include "core/model/initialise.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "core/base/philox.hpp"

namespace strandline {
namespace {

constexpr double kEmbeddingDeviation = 0.02;

// FNV-1a, 64 bits: spreads names over streams of random numbers.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
  return hash;
}

double uniform_between(RandomStream& random, double low, double high) { return low + (high - low) * random.uniform(); }

double symmetric(RandomStream& random, double bound) { return uniform_between(random, -bound, bound); }

// The inverse of softplus, so that softplus(dt_bias) is a step size drawn log-uniformly.
double draw_dt_bias(RandomStream& random, const EncoderConfig& config) {
  const double drawn = std::exp(uniform_between(random, std::log(config.dt_init_min), std::log(config.dt_init_max)));
  const double step = std::max(drawn, config.dt_init_floor);
  return step + std::log(-std::expm1(-step));
}

}  // namespace

double draw_weight(const EncoderConfig& config, const WeightSpec& spec, RandomStream& random) {
  const std::string_view name = spec.name;
  if (name.ends_with("norm.weight") || name.ends_with("norm_f.weight") || name.ends_with(".D")) return 1.0;
  if (name.ends_with("embedding.weight")) return kEmbeddingDeviation * random.normal();
  if (name.ends_with(".A_log")) return std::log(uniform_between(random, config.a_init_min, config.a_init_max));
  if (name.ends_with(".dt_bias")) return draw_dt_bias(random, config);
  if (name.ends_with("conv1d.weight") || name.ends_with("conv1d.bias")) {
    return symmetric(random, 1.0 / std::sqrt(static_cast<double>(config.d_conv)));
  }
  if (name.ends_with(".bias")) return 0.0;
  const double bound = 1.0 / std::sqrt(static_cast<double>(spec.shape[1]));
  const double depth = name.ends_with("out_proj.weight") ? std::sqrt(static_cast<double>(config.layers)) : 1.0;
  return symmetric(random, bound) / depth;
}

void fill_weights(std::uint64_t seed, const WeightDraw& draw, Weights& weights) {
  std::vector<float> values;
  for (const WeightSpec& spec : weights.layout().specs()) {
    RandomStream random(seed, hash_of(spec.name));
    values.resize(static_cast<std::size_t>(spec.shape.elements()));
    std::generate(values.begin(), values.end(), [&] { return static_cast<float>(draw(spec, random)); });
    weights.set(spec.name, values);
  }
}

void initialise(const EncoderConfig& config, std::uint64_t seed, Weights& weights) {
  const auto draw = [&](const WeightSpec& spec, RandomStream& random) { return draw_weight(config, spec, random); };
  fill_weights(seed, draw, weights);
}

}  // namespace strandline
