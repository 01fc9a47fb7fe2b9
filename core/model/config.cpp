#include "core/model/config.hpp"

#include <cmath>
#include <string>

#include "core/base/checked.hpp"
#include "core/model/config_check.hpp"

namespace strandline {
namespace {

constexpr ConfigCheck kCheck{"model configuration"};

void require_range(const char* fields, double low, double high) {
  kCheck.that(low > 0 && low <= high && std::isfinite(high), fields,
              std::to_string(low) + " and " + std::to_string(high), "positive, finite and in ascending order");
}

void check_sizes(const EncoderConfig& c) {
  kCheck.size("vocab_size", c.vocab_size);
  kCheck.size("d_model", c.d_model);
  kCheck.size("layers", c.layers);
  kCheck.size("d_state", c.d_state);
  kCheck.that(c.d_conv >= 2 && c.d_conv <= 8, "d_conv", std::to_string(c.d_conv), "between 2 and 8");
  kCheck.size("expand", c.expand);
  kCheck.size("headdim", c.headdim);
  kCheck.size("groups", c.groups);
  kCheck.size("chunk", c.chunk);
  kCheck.size("norm_groups", c.norm_groups);
}

void check_divisions(const EncoderConfig& c) {
  kCheck.that(c.d_inner() % c.headdim == 0, "headdim", std::to_string(c.headdim), "a divisor of expand * d_model");
  kCheck.that(c.heads() % c.groups == 0, "groups", std::to_string(c.groups),
              "a divisor of the number of heads, expand * d_model / headdim");
  kCheck.that(c.d_inner() % c.norm_groups == 0, "norm_groups", std::to_string(c.norm_groups),
              "a divisor of expand * d_model");
  const bool halves = c.direction == Direction::bidirectional && c.combine == Combine::concat;
  kCheck.that(!halves || c.d_model % 2 == 0, "d_model", std::to_string(c.d_model),
              "even, because concat gives each direction half of it");
}

void check_reals(const EncoderConfig& c) {
  kCheck.that(c.dropout >= 0 && c.dropout < 1, "dropout", std::to_string(c.dropout), "at least 0 and below 1");
  kCheck.that(c.norm_eps > 0 && std::isfinite(c.norm_eps), "norm_eps", std::to_string(c.norm_eps),
              "positive and finite");
  kCheck.that(c.dt_limit_min >= 0 && c.dt_limit_min < c.dt_limit_max, "dt_limit_min, dt_limit_max",
              std::to_string(c.dt_limit_min) + " and " + std::to_string(c.dt_limit_max),
              "not negative and in ascending order");
  require_range("dt_init_min, dt_init_max", c.dt_init_min, c.dt_init_max);
  kCheck.that(c.dt_init_floor > 0 && std::isfinite(c.dt_init_floor), "dt_init_floor", std::to_string(c.dt_init_floor),
              "positive and finite");
  require_range("a_init_min, a_init_max", c.a_init_min, c.a_init_max);
}

}  // namespace

void EncoderConfig::validate() const {
  check_sizes(*this);
  check_divisions(*this);
  check_reals(*this);
}

void ClassifierConfig::validate() const {
  encoder.validate();
  kCheck.classes(classes);
}

}  // namespace strandline
