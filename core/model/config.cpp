#include "core/model/config.hpp"

#include <cmath>
#include <string>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline {
namespace {

// Wide enough for every published model; keeps each product of two sizes far from 2^63.
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

void require(bool holds, const char* field, const std::string& value, const char* wanted) {
  if (!holds)
    throw ContractError(std::string("model configuration: ") + field + " is " + value + "; it must be " + wanted);
}

void require_size(const char* field, std::int64_t value) {
  require(value >= 1 && value <= kLargestSize, field, std::to_string(value), "between 1 and 16777216");
}

void require_range(const char* fields, double low, double high) {
  require(low > 0 && low <= high && std::isfinite(high), fields, std::to_string(low) + " and " + std::to_string(high),
          "positive, finite and in ascending order");
}

void check_sizes(const EncoderConfig& c) {
  require_size("vocab_size", c.vocab_size);
  require_size("d_model", c.d_model);
  require_size("layers", c.layers);
  require_size("d_state", c.d_state);
  require(c.d_conv >= 2 && c.d_conv <= 8, "d_conv", std::to_string(c.d_conv), "between 2 and 8");
  require_size("expand", c.expand);
  require_size("headdim", c.headdim);
  require_size("groups", c.groups);
  require_size("chunk", c.chunk);
  require_size("norm_groups", c.norm_groups);
}

void check_divisions(const EncoderConfig& c) {
  require(c.d_inner() % c.headdim == 0, "headdim", std::to_string(c.headdim), "a divisor of expand * d_model");
  require(c.heads() % c.groups == 0, "groups", std::to_string(c.groups),
          "a divisor of the number of heads, expand * d_model / headdim");
  require(c.d_inner() % c.norm_groups == 0, "norm_groups", std::to_string(c.norm_groups),
          "a divisor of expand * d_model");
  const bool halves = c.direction == Direction::bidirectional && c.combine == Combine::concat;
  require(!halves || c.d_model % 2 == 0, "d_model", std::to_string(c.d_model),
          "even, because concat gives each direction half of it");
}

void check_reals(const EncoderConfig& c) {
  require(c.dropout >= 0 && c.dropout < 1, "dropout", std::to_string(c.dropout), "at least 0 and below 1");
  require(c.norm_eps > 0 && std::isfinite(c.norm_eps), "norm_eps", std::to_string(c.norm_eps), "positive and finite");
  require(c.dt_limit_min >= 0 && c.dt_limit_min < c.dt_limit_max, "dt_limit_min, dt_limit_max",
          std::to_string(c.dt_limit_min) + " and " + std::to_string(c.dt_limit_max),
          "not negative and in ascending order");
  require_range("dt_init_min, dt_init_max", c.dt_init_min, c.dt_init_max);
  require(c.dt_init_floor > 0 && std::isfinite(c.dt_init_floor), "dt_init_floor", std::to_string(c.dt_init_floor),
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
  require(classes >= 2 && classes <= kLargestSize, "classes", std::to_string(classes), "between 2 and 16777216");
}

}  // namespace strandline
