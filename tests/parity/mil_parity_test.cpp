// Agreement of the aggregators with their equations in PyTorch: the golden files of make_mil_golden.py.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/cpu/cpu_backend.hpp"
#include "core/model/mil/mil_model.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/tensor/host_copy.hpp"
#include "tests/parity/golden.hpp"

namespace strandline {
namespace {

struct Case {
  std::string backend;
  std::string model;
  int patches;

  std::string name() const { return backend + "_" + model + "_" + std::to_string(patches); }
  friend std::ostream& operator<<(std::ostream& out, const Case& each) { return out << each.name(); }
};

std::string name_of_case(const testing::TestParamInfo<Case>& info) { return info.param.name(); }

const std::map<std::string, std::vector<int>>& bags() {
  static const std::map<std::string, std::vector<int>> all{{"mean", {1, 9}},         {"max", {1, 9}},
                                                           {"abmil", {1, 9}},        {"abmil_gated", {1, 9}},
                                                           {"clam_sb", {2, 5, 17}},  {"mamba2mil", {1, 2, 7, 12}},
                                                           {"mamba2mil_token", {7}}, {"transmil", {1, 7, 16}}};
  return all;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* backend : {"ref", "cpu"}) {
    for (const auto& [model, sizes] : bags()) {
      for (const int patches : sizes) cases.push_back({backend, model, patches});
    }
  }
  return cases;
}

class FieldReader {
 public:
  explicit FieldReader(const nlohmann::json& json) : json_(json) {}

  template <class Field>
  void operator()(const char* name, Field& field) {
    if (!json_.contains(name)) return;
    ++read_;
    if constexpr (std::is_enum_v<Field>) {
      EXPECT_TRUE(parse(json_.at(name).get<std::string>(), field)) << name;
    } else {
      field = json_.at(name).get<Field>();
    }
  }
  std::size_t read() const { return read_; }

 private:
  const nlohmann::json& json_;
  std::size_t read_ = 0;
};

MilConfig read_config(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file);
  MilConfig config;
  FieldReader reader(json);
  visit_fields(config, reader);
  EXPECT_EQ(reader.read(), json.size());
  return config;
}

class MilParity : public testing::TestWithParam<Case> {
 protected:
  // Of the largest value: fp32 against double, through at most two blocks and a softmax.
  static constexpr double kBound = 1e-4;

  std::string file(const std::string& name) const { return golden::path("mil/" + GetParam().model, name); }

  void SetUp() override {
    backend_ = GetParam().backend == "ref" ? make_ref_backend(DType::f64) : make_cpu_backend({.threads = 2});
    // Segments shorter than the bags: their seams are on the way.
    model_ = std::make_unique<MilModel>(read_config(file("config.json")), *backend_, MilOptions{.segment_patches = 4});
    const golden::Tensors weights = golden::read(file("model.safetensors"));
    ASSERT_EQ(model_->weights().layout().specs().size(), weights.size());
    for (const WeightSpec& spec : model_->weights().layout().specs()) {
      model_->weights().set(spec.name, golden::values_of<float>(weights.at(spec.name)));
    }
    want_ = golden::read(file("bag" + std::to_string(GetParam().patches) + ".safetensors"));
    bag_ = {golden::values_of<float>(want_.at("features")), GetParam().patches};
  }

  std::span<const float> want(const std::string& name) const { return golden::values_of<float>(want_.at(name)); }
  void expect_near(std::span<const float> got, const std::string& name) const {
    EXPECT_LE(golden::relative_error(std::vector<double>(got.begin(), got.end()), want(name)), kBound) << name;
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<MilModel> model_;
  golden::Tensors want_;
  BagView bag_;
};

TEST_P(MilParity, PredictionAndAttentionAgree) {
  std::vector<float> logits(static_cast<std::size_t>(model_->config().classes));
  std::vector<float> attention(static_cast<std::size_t>(bag_.patches));
  std::vector<float> pooled(static_cast<std::size_t>(model_->config().d_model));

  model_->predict(bag_, {.logits = logits, .attention = attention, .pooled = pooled});

  expect_near(logits, "logits");
  expect_near(attention, "attention");
  expect_near(pooled, "pooled");
}

TEST_P(MilParity, LossAndGradientsAgree) {
  const MilTrainResult result = model_->train_step(bag_, {.label = 1});

  expect_near(std::vector<float>{static_cast<float>(result.loss), static_cast<float>(result.bag_loss),
                                 static_cast<float>(result.instance_loss)},
              "losses");
  expect_near(result.logits, "logits");
  double largest = 0.0;
  for (const WeightSpec& spec : model_->weights().layout().specs()) {
    for (const float value : want("grad." + spec.name))
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
  }
  for (const WeightSpec& spec : model_->weights().layout().specs()) {
    const std::vector<float> got = model_->gradients().get(spec.name);
    const auto expected = want("grad." + spec.name);
    ASSERT_EQ(got.size(), expected.size());
    double own = 0.0;
    double difference = 0.0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      own = std::max(own, std::fabs(static_cast<double>(expected[i])));
      difference = std::max(difference, std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
    }
    // Some gradients are zero but for rounding (the score's bias, under a softmax): these are held to 1e-6 of the
    // largest gradient of the model.
    EXPECT_LE(difference, kBound * own + 1e-6 * largest) << spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, MilParity, testing::ValuesIn(all_cases()), name_of_case);

}  // namespace
}  // namespace strandline
