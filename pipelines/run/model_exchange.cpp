#include "pipelines/run/model_exchange.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "core/vocab/dna.hpp"
#include "io/bytes/output_file.hpp"
#include "io/model_file/safetensors.hpp"

namespace strandline {
namespace {

constexpr std::string_view kOwnEmbedding = "backbone.embedding.weight";
constexpr std::string_view kHuggingFaceEmbedding = "backbone.embeddings.weight";
constexpr std::string_view kLanguageHead = "lm_head.weight";
constexpr std::string_view kConvolution = ".conv1d.weight";

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(path, "open", errno);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw IoError(path, "read", errno);
  return text;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text + "]";
}

// Their (C, 1, K) holds the same numbers in the same order as our (C, K).
void squeeze_convolution(NamedTensor& tensor, const std::string& file) {
  if (tensor.shape.size() != 3 || tensor.shape[1] != 1) {
    throw DataError({.file = file}, "tensor '" + tensor.name + "' has shape " + text_of(tensor.shape) +
                                        ", expected [channels, 1, taps]");
  }
  tensor.shape.erase(tensor.shape.begin() + 1);
}

void check_vocabulary(const EncoderConfig& encoder, const std::string& file) {
  if (encoder.vocab_size > dna::kN) return;
  throw DataError({.file = file},
                  "a vocabulary of " + std::to_string(encoder.vocab_size) + " tokens, expected at least " +
                      std::to_string(dna::kN + 1),
                  "DNA letters are tokens 7 to 11 (A, C, G, T, N), as in HyenaDNA and Caduceus");
}

// A model's hash depends on the order of its tensors: that of the layout, however the file had them.
void sort_as(const WeightLayout& layout, std::vector<NamedTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [&](const NamedTensor& a, const NamedTensor& b) {
    return layout.find(a.name) < layout.find(b.name);  // specs lie in one array
  });
}

bool is_encoder(const NamedTensor& tensor) { return tensor.name.starts_with("backbone."); }

}  // namespace

StoredModel import_model(const std::string& safetensors_path, const std::string& config_path) {
  SafetensorsFile weights =
      read_safetensors(safetensors_path);  // first: a wrong file explains more than no config.json
  const std::string config_file = config_path.empty()
                                      ? (std::filesystem::path(safetensors_path).parent_path() / "config.json").string()
                                      : config_path;
  const ExchangeConfig exchange = read_exchange_config(read_text(config_file), config_file);
  check_vocabulary(exchange.encoder, config_file);
  const bool hugging_face = exchange.layout == ExchangeLayout::hugging_face;

  StoredModel model;
  model.config.encoder = exchange.encoder;
  model.metadata.program_version = kVersion;
  for (NamedTensor& tensor : weights.tensors) {
    if (tensor.name == kLanguageHead) continue;
    if (tensor.name.ends_with(kConvolution)) squeeze_convolution(tensor, safetensors_path);
    if (hugging_face && tensor.name == kHuggingFaceEmbedding) tensor.name = kOwnEmbedding;
    model.tensors.push_back(std::move(tensor));
  }
  check_model(model, safetensors_path);
  sort_as(WeightLayout(model.config), model.tensors);
  return model;
}

void export_model(const StoredModel& model, ExchangeLayout layout, const std::string& folder) {
  const std::string config = write_exchange_config(model.config.encoder, layout);
  SafetensorsFile file{{{"format", "pt"}}, {}};
  std::copy_if(model.tensors.begin(), model.tensors.end(), std::back_inserter(file.tensors), is_encoder);
  for (NamedTensor& tensor : file.tensors) {
    if (tensor.name.ends_with(kConvolution)) tensor.shape.insert(tensor.shape.begin() + 1, 1);
    if (layout == ExchangeLayout::hugging_face && tensor.name == kOwnEmbedding) tensor.name = kHuggingFaceEmbedding;
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError(folder, "make the folder", error.value());
  write_safetensors((std::filesystem::path(folder) / "model.safetensors").string(), file);
  OutputFile output((std::filesystem::path(folder) / "config.json").string());
  output.write(config);
  output.commit();
}

}  // namespace strandline
