// Small models with random weights, and small files, for tests of inference.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/model/config.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline::testing {

inline ClassifierConfig tiny_config(Direction direction = Direction::causal) {
  ClassifierConfig config;
  config.encoder.d_model = 16;
  config.encoder.layers = 2;
  config.encoder.d_state = 16;
  config.encoder.headdim = 8;
  config.encoder.chunk = 16;
  config.encoder.direction = direction;
  config.classes = 3;
  return config;
}

inline ModelMetadata tiny_metadata() {
  ModelMetadata metadata;
  metadata.class_names = {"ecoli", "yeast", "phage"};
  metadata.training_window = 100;
  metadata.training_command = "a test";
  metadata.program_version = "0";
  metadata.metrics_json = R"({"accuracy":0.5})";
  return metadata;
}

/// Letters that repeat only after a long time; the same for the same seed. Seeds differ in composition, so that a model
/// gives them different labels.
inline std::string random_bases(std::int64_t length, std::uint64_t seed) {
  constexpr std::string_view kLetters[] = {"ACGT", "AATC", "GGCA"};
  const std::string_view letters = kLetters[seed % 3];
  std::string bases;
  std::uint64_t state = seed * 2654435761U + 1;
  for (std::int64_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    bases.push_back(letters[state >> 62U]);
  }
  return bases;
}

inline LoadedClassifier tiny_classifier(Backend& backend, const ClassifierConfig& config = tiny_config()) {
  LoadedClassifier model;
  model.classifier = std::make_unique<Classifier>(config, backend);
  Classifier& classifier = *model.classifier;
  classifier.initialise(7);
  std::vector<float> head = classifier.weights().get("head.weight");
  for (float& weight : head) weight *= 40.0F;
  classifier.weights().set("head.weight", head);
  // Classes tie on a sequence of mixed composition, so that sequences of another one get different labels.
  const std::string mixed = random_bases(300, 0);
  std::vector<std::int32_t> ids(mixed.size());
  dna::tokenize(mixed, ids.data());
  PackedBatch batch;
  batch.add(ids);
  std::vector<float> bias(static_cast<std::size_t>(config.classes));
  classifier.predict(batch, bias);
  for (float& value : bias) value = -value;
  classifier.weights().set("head.bias", bias);
  model.metadata = tiny_metadata();
  model.hash = "0123";
  return model;
}

/// Name and bases.
using TinyRecords = std::vector<std::pair<std::string, std::string>>;

/// Short and long, with gaps, soft masking, and every reason to have no label.
inline TinyRecords tiny_records() {
  TinyRecords records;
  for (int i = 0; i < 40; ++i) {
    const auto seed = static_cast<std::uint64_t>(i);
    records.emplace_back("read" + std::to_string(i), random_bases(20 + 13 * i, seed));
  }
  records.emplace_back("empty", "");
  records.emplace_back("short", "ACGTACGTA");
  records.emplace_back("only_n", std::string(300, 'N'));
  records.emplace_back("half_n", random_bases(100, 90) + std::string(150, 'n'));
  records.emplace_back("gap", random_bases(200, 91) + std::string(400, 'N') + random_bases(250, 92));
  records.emplace_back("long", random_bases(5000, 93));
  return records;
}

inline std::string fasta_of(const TinyRecords& records) {
  std::string text;
  for (const auto& [name, bases] : records) text.append(">").append(name).append("\n").append(bases).append("\n");
  return text;
}

}  // namespace strandline::testing
