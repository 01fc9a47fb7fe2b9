#include "pipelines/run/model_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/base/error.hpp"
#include "pipelines/run/config_json.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/pipelines/tiny_model.hpp"

namespace strandline {
namespace {

using strandline::testing::message_of;
using strandline::testing::TemporaryFolder;
using ::testing::HasSubstr;

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("not in the text: " + from);
  return text.replace(at, from.size(), to);
}

TEST(ConfigJson, GivesBackEveryField) {
  ClassifierConfig config = testing::tiny_config(Direction::bidirectional);
  config.encoder.combine = Combine::concat;
  config.encoder.tied_projections = false;
  config.encoder.gate_order = ops::GateOrder::norm_then_gate;
  config.encoder.dropout = 0.1;
  config.encoder.dt_limit_min = 0.001;
  config.pooling = Pooling::attention;
  EXPECT_EQ(config_from_json(config_to_json(config), "x"), config);
  config.encoder.dt_limit_max = 0.125;
  EXPECT_EQ(config_from_json(config_to_json(config), "x"), config);
}

TEST(ConfigJson, RefusesByName) {
  const std::string good = config_to_json(testing::tiny_config());
  const auto refusal = [&](const std::string& text) {
    return message_of<DataError>([&] { config_from_json(text, "m.h5"); });
  };
  EXPECT_THAT(refusal(with(good, "\"d_state\":16,", "")),
              HasSubstr("m.h5: bad configuration: missing field 'd_state'"));
  EXPECT_THAT(refusal(with(good, "\"d_state\"", "\"d_stat\":1,\"d_state\"")), HasSubstr("unknown field 'd_stat'"));
  EXPECT_THAT(refusal(with(good, "\"d_state\":16", "\"d_state\":1.5")),
              HasSubstr("field 'd_state' is 1.5, expected an integer"));
  EXPECT_THAT(refusal(with(good, "\"causal\"", "\"sideways\"")), HasSubstr("expected causal or bidirectional"));
  EXPECT_THAT(refusal(with(good, "\"conv_bias\":true", "\"conv_bias\":1")), HasSubstr("expected true or false"));
  EXPECT_THAT(refusal(with(good, "\"d_model\":16", "\"d_model\":-16")), HasSubstr("d_model"));
  EXPECT_THAT(refusal("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("not a JSON object"));
}

class ModelStore : public ::testing::Test {
 protected:
  ModelStore() : backend_(make_cpu_backend({.threads = 1})), path_(folder_ / "model.h5") {}

  TemporaryFolder folder_;
  std::unique_ptr<Backend> backend_;
  std::string path_;
};

TEST_F(ModelStore, GivesBackTheSameModel) {
  const LoadedClassifier model = testing::tiny_classifier(*backend_);
  const std::string hash = save_classifier(path_, *model.classifier, model.metadata);
  const LoadedClassifier loaded = load_classifier(path_, *backend_);
  EXPECT_EQ(loaded.hash, hash);
  EXPECT_EQ(loaded.hash.size(), 64U);
  EXPECT_EQ(loaded.classifier->config(), model.classifier->config());
  EXPECT_EQ(loaded.metadata.class_names, model.metadata.class_names);
  EXPECT_EQ(loaded.metadata.training_window, 100);
  EXPECT_EQ(loaded.metadata.metrics_json, model.metadata.metrics_json);
  for (const WeightSpec& spec : model.classifier->weights().layout().specs()) {
    EXPECT_EQ(loaded.classifier->weights().get(spec.name), model.classifier->weights().get(spec.name)) << spec.name;
  }
}

TEST_F(ModelStore, HashesConfigurationAndWeightsAndNothingElse) {
  LoadedClassifier model = testing::tiny_classifier(*backend_);
  const std::string hash = save_classifier(path_, *model.classifier, model.metadata);
  model.metadata.training_command = "another";
  EXPECT_EQ(save_classifier(path_, *model.classifier, model.metadata), hash);
  model.classifier->weights().set("head.bias", std::vector<float>{1.0F, 0.0F, 0.0F});
  EXPECT_NE(save_classifier(path_, *model.classifier, model.metadata), hash);
}

TEST_F(ModelStore, RefusesWeightsThatAreNotFinite) {
  const LoadedClassifier model = testing::tiny_classifier(*backend_);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  model.classifier->weights().view("head.bias").as<float>()[1] = nan;
  EXPECT_THROW(save_classifier(path_, *model.classifier, model.metadata), NumericError);
  EXPECT_EQ(folder_.entries(), 0U);
}

TEST_F(ModelStore, RefusesTensorsByName) {
  const LoadedClassifier model = testing::tiny_classifier(*backend_);
  StoredModel stored{model.classifier->config(), model.metadata, tensors_of(model.classifier->weights()), {}};
  const auto refusal = [&](const StoredModel& bad) { return message_of<DataError>([&] { save_model(path_, bad); }); };
  StoredModel bad = stored;
  bad.tensors.erase(bad.tensors.begin());
  EXPECT_THAT(refusal(bad), HasSubstr("tensor 'backbone.embedding.weight' is missing"));
  bad = stored;
  bad.tensors[0].name = "surprise";
  EXPECT_THAT(refusal(bad), HasSubstr("tensor 'surprise' does not belong"));
  bad = stored;
  bad.tensors[0].shape = {8, 32};
  EXPECT_THAT(refusal(bad), HasSubstr("has shape [8, 32], expected [16, 16]"));
  bad = stored;
  bad.metadata.class_names.pop_back();
  EXPECT_THAT(refusal(bad), HasSubstr("2 class names for 3 classes"));
  EXPECT_EQ(folder_.entries(), 0U);
}

TEST_F(ModelStore, KeepsAnEncoderWithoutAHead) {
  const LoadedClassifier model = testing::tiny_classifier(*backend_);
  StoredModel stored{model.classifier->config(), {}, tensors_of(model.classifier->weights()), {}};
  std::erase_if(stored.tensors, [](const NamedTensor& tensor) { return tensor.name.starts_with("head."); });
  save_model(path_, stored);
  const LoadedClassifier loaded = load_classifier(path_, *backend_);
  EXPECT_FALSE(loaded.has_head());
  EXPECT_EQ(loaded.classifier->weights().get("backbone.norm_f.weight"),
            model.classifier->weights().get("backbone.norm_f.weight"));
}

}  // namespace
}  // namespace strandline
