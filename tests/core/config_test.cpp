#include "core/model/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <ostream>
#include <string>

#include "core/base/error.hpp"

namespace strandline {
namespace {

struct Refusal {
  std::string field;  // the message must name it
  std::function<void(ClassifierConfig&)> spoil;

  friend std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.field; }
};

class ConfigRefuses : public ::testing::TestWithParam<Refusal> {};

TEST_P(ConfigRefuses, NamingTheField) {
  ClassifierConfig config;
  ASSERT_NO_THROW(config.validate());
  GetParam().spoil(config);
  try {
    config.validate();
    FAIL() << "accepted";
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(GetParam().field));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("it must be"));
  }
}

const double kInfinity = std::numeric_limits<double>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Fields, ConfigRefuses,
    ::testing::Values(Refusal{"vocab_size", [](ClassifierConfig& c) { c.encoder.vocab_size = 0; }},
                      Refusal{"d_model", [](ClassifierConfig& c) { c.encoder.d_model = std::int64_t{1} << 40; }},
                      Refusal{"layers", [](ClassifierConfig& c) { c.encoder.layers = -1; }},
                      Refusal{"d_state", [](ClassifierConfig& c) { c.encoder.d_state = 0; }},
                      Refusal{"d_conv", [](ClassifierConfig& c) { c.encoder.d_conv = 1; }},
                      Refusal{"d_conv", [](ClassifierConfig& c) { c.encoder.d_conv = 9; }},
                      Refusal{"headdim", [](ClassifierConfig& c) { c.encoder.headdim = 48; }},
                      Refusal{"groups", [](ClassifierConfig& c) { c.encoder.groups = 3; }},
                      Refusal{"norm_groups", [](ClassifierConfig& c) { c.encoder.norm_groups = 5; }},
                      Refusal{"chunk", [](ClassifierConfig& c) { c.encoder.chunk = 0; }},
                      Refusal{"dropout", [](ClassifierConfig& c) { c.encoder.dropout = 1.0; }},
                      Refusal{"dropout", [](ClassifierConfig& c) { c.encoder.dropout = std::nan(""); }},
                      Refusal{"norm_eps", [](ClassifierConfig& c) { c.encoder.norm_eps = 0.0; }},
                      Refusal{"dt_limit_min", [](ClassifierConfig& c) { c.encoder.dt_limit_min = kInfinity; }},
                      Refusal{"dt_init_min", [](ClassifierConfig& c) { c.encoder.dt_init_min = 0.5; }},
                      Refusal{"dt_init_floor", [](ClassifierConfig& c) { c.encoder.dt_init_floor = 0.0; }},
                      Refusal{"a_init_min", [](ClassifierConfig& c) { c.encoder.a_init_min = -1.0; }},
                      Refusal{"classes", [](ClassifierConfig& c) { c.classes = 1; }},
                      Refusal{"d_model", [](ClassifierConfig& c) {
                                c.encoder = {.d_model = 65, .headdim = 65};
                                c.encoder.direction = Direction::bidirectional;
                                c.encoder.combine = Combine::concat;
                              }}));

TEST(Config, DerivesTheSizesOfMamba2_130m) {
  const EncoderConfig config{.vocab_size = 50288, .d_model = 768, .layers = 24, .d_state = 128, .headdim = 64};
  EXPECT_EQ(config.heads(), 24);
  EXPECT_EQ(config.conv_channels(), 1792);
  EXPECT_EQ(config.in_proj_rows(), 3352);
}

}  // namespace
}  // namespace strandline
