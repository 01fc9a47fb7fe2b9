// Agreement with an implementation that is not ours: the golden files of make_golden.py, made by transformers.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/cpu/cpu_backend.hpp"
#include "core/model/encoder.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/parity/golden.hpp"

namespace strandline {
namespace {

using golden::path;
using golden::relative_error;
using golden::Tensors;
using golden::values_of;

EncoderConfig read_config(const std::string& model) {
  std::ifstream file(path(model, "config.json"));
  const auto json = nlohmann::json::parse(file);
  EncoderConfig config;
  config.vocab_size = json.at("vocab_size");
  config.d_model = json.at("hidden_size");
  config.layers = json.at("num_hidden_layers");
  config.d_state = json.at("state_size");
  config.d_conv = json.at("conv_kernel");
  config.expand = json.at("expand");
  config.headdim = json.at("head_dim");
  config.groups = json.at("n_groups");
  config.norm_eps = json.at("layer_norm_epsilon");
  config.dt_limit_min = json.at("time_step_limit").at(0);
  const auto& high = json.at("time_step_limit").at(1);
  if (high.is_number()) config.dt_limit_max = high;
  return config;
}

// Ours by theirs: only the embedding is named differently.
std::string their_name(const std::string& ours) {
  return ours == "backbone.embedding.weight" ? "backbone.embeddings.weight" : ours;
}

Weights read_weights(const std::string& model, const EncoderConfig& config, Backend& backend) {
  const Tensors tensors = golden::read(path(model, "model.safetensors"));
  Weights weights(WeightLayout(config), backend);
  EXPECT_EQ(weights.layout().specs().size(), tensors.size());
  for (const WeightSpec& spec : weights.layout().specs()) {
    weights.set(spec.name, values_of<float>(tensors.at(their_name(spec.name))));
  }
  return weights;
}

std::vector<double> to_host(Backend& backend, ConstView view) {
  std::vector<double> values(static_cast<std::size_t>(view.elements()));
  const std::size_t size_bytes = values.size() * size_of(view.dtype());
  if (view.dtype() == DType::f64) {
    backend.memory().download(values.data(), view.data(), size_bytes);
    return values;
  }
  std::vector<float> single(values.size());
  backend.memory().download(single.data(), view.data(), size_bytes);
  std::copy(single.begin(), single.end(), values.begin());
  return values;
}

void upload(Backend& backend, const std::vector<double>& values, View to) {
  if (to.dtype() == DType::f64) {
    backend.memory().upload(to.data(), values.data(), values.size() * sizeof(double));
    return;
  }
  const std::vector<float> single(values.begin(), values.end());
  backend.memory().upload(to.data(), single.data(), single.size() * sizeof(float));
}

struct Case {
  std::string backend;
  std::string model;
  int length;

  std::string name() const { return backend + "_" + model + "_" + std::to_string(length); }
  friend std::ostream& operator<<(std::ostream& out, const Case& each) { return out << each.name(); }
};

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name(); }

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* backend : {"ref", "cpu"}) {
    for (const char* model : {"groups1", "groups2", "limited"}) {
      for (const int length : {1, 255, 256, 257, 1000}) cases.push_back({backend, model, length});
    }
  }
  return cases;
}

class Parity : public testing::TestWithParam<Case> {
 protected:
  static constexpr double kBound = 1e-4;

  std::unique_ptr<Backend> make_backend() const {
    return GetParam().backend == "ref" ? make_ref_backend(DType::f64) : make_cpu_backend();
  }
};

TEST_P(Parity, HiddenStatesAndGradientsAgreeWithTransformers) {
  const auto backend = make_backend();
  const EncoderConfig config = read_config(GetParam().model);
  const Weights weights = read_weights(GetParam().model, config, *backend);
  const Tensors want =
      golden::read(path(GetParam().model, "length" + std::to_string(GetParam().length) + ".safetensors"));
  Encoder encoder(config, *backend, weights);
  PackedBatch batch;
  batch.add(values_of<std::int32_t>(want.at("ids")));
  const Workspace::Scope scope(encoder.workspace());
  const View hidden = encoder.workspace().take(backend->accumulate_dtype(), {batch.tokens(), config.d_model});

  const EncoderTape tape = encoder.forward_training(batch, {}, hidden);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const auto& expected = want.at("layer." + std::to_string(layer));
    EXPECT_LE(relative_error(to_host(*backend, tape.residual_td(layer + 1)), values_of<float>(expected)), kBound)
        << layer;
  }
  EXPECT_LE(relative_error(to_host(*backend, hidden), values_of<float>(want.at("final"))), kBound);

  // The loss of make_golden.py: the sum of the final hidden states, each times cos(0.37 * its number).
  std::vector<double> probe(static_cast<std::size_t>(hidden.elements()));
  for (std::size_t i = 0; i < probe.size(); ++i) probe[i] = static_cast<float>(std::cos(0.37 * static_cast<double>(i)));
  upload(*backend, probe, hidden);
  Weights gradients(WeightLayout(config), *backend);
  encoder.backward(batch, tape, hidden, gradients);
  for (const WeightSpec& spec : gradients.layout().specs()) {
    const auto& expected = want.at("grad." + their_name(spec.name));
    EXPECT_LE(relative_error(to_host(*backend, gradients.view(spec.name)), values_of<float>(expected)), kBound)
        << spec.name;
  }
}

TEST_P(Parity, InferenceGivesTheSameHiddenStates) {
  const auto backend = make_backend();
  const EncoderConfig config = read_config(GetParam().model);
  const Weights weights = read_weights(GetParam().model, config, *backend);
  const Tensors want =
      golden::read(path(GetParam().model, "length" + std::to_string(GetParam().length) + ".safetensors"));
  Encoder encoder(config, *backend, weights, {.segment_tokens = 128});
  PackedBatch batch;
  batch.add(values_of<std::int32_t>(want.at("ids")));
  Buffer hidden(backend->memory(), backend->accumulate_dtype(), {batch.tokens(), config.d_model});

  encoder.forward(batch, hidden.view());

  EXPECT_LE(relative_error(to_host(*backend, hidden.view()), values_of<float>(want.at("final"))), kBound);
}

INSTANTIATE_TEST_SUITE_P(Golden, Parity, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace strandline
