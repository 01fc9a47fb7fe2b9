#include "pipelines/run/model_exchange.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "io/model_file/safetensors.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/pipelines/tiny_model.hpp"

namespace strandline {
namespace {

using strandline::testing::bytes_of;
using strandline::testing::message_of;
using strandline::testing::put_bytes;
using strandline::testing::TemporaryFolder;
using ::testing::HasSubstr;

constexpr const char* kHuggingFace =
    R"({"model_type": "mamba2", "vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2,
  "state_size": 16, "num_heads": 4, "head_dim": 8, "n_groups": 1, "expand": 2, "conv_kernel": 4, "chunk_size": 64,
  "layer_norm_epsilon": 1e-05, "time_step_limit": [0.0, Infinity], "note": "Infinity \" Infinity", "torch_dtype": "float32"})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("not in the text: " + from);
  return text.replace(at, from.size(), to);
}

TEST(ExchangeConfig, ReadsTheHuggingFaceLayout) {
  const ExchangeConfig read = read_exchange_config(kHuggingFace, "c.json");
  EXPECT_EQ(read.layout, ExchangeLayout::hugging_face);
  EXPECT_EQ(read.encoder.d_model, 16);
  EXPECT_EQ(read.encoder.heads(), 4);
  EXPECT_EQ(read.encoder.chunk, 64);
  EXPECT_TRUE(std::isinf(read.encoder.dt_limit_max));
  const ExchangeConfig quoted = read_exchange_config(replaced(kHuggingFace, "Infinity]", "\"Infinity\"]"), "c.json");
  EXPECT_TRUE(std::isinf(quoted.encoder.dt_limit_max));
  const ExchangeConfig limited = read_exchange_config(replaced(kHuggingFace, "Infinity]", "0.05]"), "c.json");
  EXPECT_EQ(limited.encoder.dt_limit_max, 0.05);
}

TEST(ExchangeConfig, ReadsTheStateSpacesLayout) {
  const ExchangeConfig read = read_exchange_config(
      R"({"d_model": 768, "d_intermediate": 0, "n_layer": 24, "vocab_size": 50277, "ssm_cfg": {"layer": "Mamba2", "ngroups": 2},
          "attn_layer_idx": [], "rms_norm": true, "pad_vocab_size_multiple": 16, "tie_embeddings": true})",
      "c.json");
  EXPECT_EQ(read.layout, ExchangeLayout::state_spaces);
  EXPECT_EQ(read.encoder.vocab_size, 50288);
  EXPECT_EQ(read.encoder.d_state, 128);
  EXPECT_EQ(read.encoder.heads(), 24);
  EXPECT_EQ(read.encoder.norm_groups, 2);  // there, the gated norm works on each group apart
}

TEST(ExchangeConfig, RefusesByKey) {
  const auto refusal = [](const std::string& text) {
    return message_of<DataError>([&] { read_exchange_config(text, "c.json"); });
  };
  EXPECT_THAT(refusal(replaced(kHuggingFace, "\"state_size\": 16, ", "")),
              HasSubstr("c.json: the key 'state_size' is missing"));
  EXPECT_THAT(refusal(replaced(kHuggingFace, "\"num_heads\": 4", "\"num_heads\": 5")),
              HasSubstr("'num_heads' is 5, expected 4"));
  EXPECT_THAT(refusal(replaced(kHuggingFace, "\"hidden_size\": 16", "\"hidden_size\": \"16\"")),
              HasSubstr("expected an integer"));
  EXPECT_THAT(refusal(replaced(kHuggingFace, "\"expand\"", "\"rms_norm\": false, \"expand\"")),
              HasSubstr("'rms_norm' is false"));
  EXPECT_THAT(refusal(R"({"model_type": "mamba", "hidden_size": 16})"),
              HasSubstr("not the configuration of a Mamba-2 model"));
  EXPECT_THAT(refusal(R"({"d_model": 16, "n_layer": 2, "vocab_size": 16, "ssm_cfg": {}})"),
              HasSubstr("which means Mamba-1"));
  EXPECT_THAT(refusal(R"({"d_model": 16, "ssm_cfg": {"layer": "Mamba2"}, "attn_layer_idx": [3]})"),
              HasSubstr("'attn_layer_idx' is [3]"));
  EXPECT_THAT(refusal("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("not a JSON object"));
}

TEST(ExchangeConfig, RefusesToWriteWhatALayoutCannotSay) {
  const EncoderConfig both = testing::tiny_config(Direction::bidirectional).encoder;
  EXPECT_THAT(message_of<ContractError>([&] { write_exchange_config(both, ExchangeLayout::hugging_face); }),
              HasSubstr("bidirectional"));
  EncoderConfig order = testing::tiny_config().encoder;
  order.gate_order = ops::GateOrder::norm_then_gate;
  EXPECT_THROW(write_exchange_config(order, ExchangeLayout::hugging_face), ContractError);
  EXPECT_EQ(read_exchange_config(write_exchange_config(order, ExchangeLayout::state_spaces), "x").encoder, order);
}

class ModelExchange : public ::testing::Test {
 protected:
  ModelExchange() : backend_(make_cpu_backend({.threads = 1})), model_(testing::tiny_classifier(*backend_)) {
    stored_ = {model_.classifier->config(), model_.metadata, tensors_of(model_.classifier->weights()), {}};
  }

  std::vector<float> embedding(StoredModel stored) {
    const LoadedClassifier loaded = make_classifier(std::move(stored), *backend_);
    PackedBatch batch;
    batch.add(std::vector<std::int32_t>{7, 8, 9, 10, 11, 7, 7, 9});
    std::vector<float> pooled(16);
    loaded.classifier->embed(batch, pooled);
    return pooled;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Backend> backend_;
  LoadedClassifier model_;
  StoredModel stored_;
};

TEST_F(ModelExchange, GivesBackTheSameEncoderInBothLayouts) {
  for (const ExchangeLayout layout : {ExchangeLayout::hugging_face, ExchangeLayout::state_spaces}) {
    export_model(stored_, layout, folder_ / "out");
    StoredModel back = import_model(folder_ / "out/model.safetensors");
    EXPECT_EQ(back.config.encoder, stored_.config.encoder);
    EXPECT_FALSE(back.has_head());
    EXPECT_EQ(embedding(back), embedding(stored_));
    // The same file whatever the layout it came through.
    const std::string path = folder_ / "again.h5";
    const std::string hash = save_model(path, back);
    EXPECT_EQ(load_model(path).hash, hash);
  }
}

TEST_F(ModelExchange, UsesTheNamesAndShapesOfTransformers) {
  export_model(stored_, ExchangeLayout::hugging_face, folder_ / "out");
  const SafetensorsFile file = read_safetensors(folder_ / "out/model.safetensors");
  const auto find = [&](const std::string& name) {
    return std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& t) { return t.name == name; });
  };
  ASSERT_NE(find("backbone.embeddings.weight"), file.tensors.end());
  ASSERT_NE(find("backbone.layers.1.mixer.conv1d.weight"), file.tensors.end());
  EXPECT_THAT(find("backbone.layers.1.mixer.conv1d.weight")->shape, ::testing::ElementsAre(64, 1, 4));
  EXPECT_EQ(find("head.weight"), file.tensors.end());
}

TEST_F(ModelExchange, RefusesTensorsByName) {
  export_model(stored_, ExchangeLayout::hugging_face, folder_ / "out");
  const std::string weights = folder_ / "out/model.safetensors";
  const SafetensorsFile good = read_safetensors(weights);
  const auto refusal = [&](const SafetensorsFile& file) {
    write_safetensors(weights, file);
    return message_of<DataError>([&] { import_model(weights); });
  };
  SafetensorsFile bad = good;
  std::erase_if(bad.tensors, [](const auto& t) { return t.name == "backbone.norm_f.weight"; });
  EXPECT_THAT(refusal(bad), HasSubstr("tensor 'backbone.norm_f.weight' is missing"));
  bad = good;
  bad.tensors.push_back({"backbone.layers.7.norm.weight", DType::f32, {1}, std::vector<std::byte>(4)});
  EXPECT_THAT(refusal(bad), HasSubstr("tensor 'backbone.layers.7.norm.weight' does not belong"));
  bad = good;
  for (NamedTensor& tensor : bad.tensors) {
    if (tensor.name == "backbone.layers.0.mixer.conv1d.weight") tensor.shape = {64, 4, 1};
  }
  EXPECT_THAT(refusal(bad), HasSubstr("has shape [64, 4, 1], expected [channels, 1, taps]"));
  write_safetensors(weights, good);
  EXPECT_NO_THROW(import_model(weights));
}

TEST_F(ModelExchange, PassesOverALanguageHead) {
  export_model(stored_, ExchangeLayout::hugging_face, folder_ / "out");
  const std::string weights = folder_ / "out/model.safetensors";
  SafetensorsFile file = read_safetensors(weights);
  file.tensors.push_back({"lm_head.weight", DType::f32, {16, 16}, std::vector<std::byte>(16 * 16 * 4)});
  write_safetensors(weights, file);
  EXPECT_EQ(embedding(import_model(weights)), embedding(stored_));
}

TEST_F(ModelExchange, RefusesAVocabularyWithoutRoomForDna) {
  export_model(stored_, ExchangeLayout::hugging_face, folder_ / "out");
  const std::string config = folder_ / "out/config.json";
  put_bytes(config, replaced(bytes_of(config), "\"vocab_size\": 16", "\"vocab_size\": 8"));
  EXPECT_THAT(message_of<DataError>([&] { import_model(folder_ / "out/model.safetensors"); }),
              HasSubstr("a vocabulary of 8 tokens, expected at least 12"));
}

TEST_F(ModelExchange, ReadsTheGoldenModelsOfTransformers) {
  const std::string golden = std::string(STRANDLINE_SOURCE_DIR) + "/tests/parity/golden/";
  for (const char* name : {"groups1", "groups2", "limited"}) {
    const StoredModel model = import_model(golden + name + "/model.safetensors");
    EXPECT_EQ(model.config.encoder.norm_groups, 1) << name;
    EXPECT_EQ(std::ssize(model.tensors), 2 + 9 * model.config.encoder.layers) << name;
  }
}

}  // namespace
}  // namespace strandline
