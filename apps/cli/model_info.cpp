// `strandline model info`
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "io/bytes/output_file.hpp"
#include "pipelines/run/config_json.hpp"
#include "pipelines/run/memory_plan.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline model info model.h5\n"
    "  strandline model info model.h5 --json | jq .metrics";

constexpr std::int64_t kBatchTokens = 1 << 14;  // the default of --batch-tokens

struct InfoArguments {
  std::string model;
  bool json = false;
};

std::int64_t parameters_of(const StoredModel& model) {
  std::int64_t parameters = 0;
  for (const NamedTensor& tensor : model.tensors) parameters += element_count(tensor);
  return parameters;
}

std::string as_json(const StoredModel& model) {
  const Json json = {{"hash", model.hash},
                     {"parameters", parameters_of(model)},
                     {"class_names", model.metadata.class_names},
                     {"training_window", model.metadata.training_window},
                     {"training_command", model.metadata.training_command},
                     {"program_version", model.metadata.program_version},
                     {"config", Json::parse(config_to_json(model.config))},
                     {"metrics", Json::parse(model.metadata.metrics_json)}};
  return json.dump(2) + "\n";
}

std::string class_list(const ModelMetadata& metadata) {
  std::string text;
  for (const std::string& name : metadata.class_names) text.append(text.empty() ? "" : ", ").append(name);
  return text.empty() ? "none: an encoder without a head, for 'dna embed'" : text;
}

std::string as_text(const StoredModel& model) {
  const EncoderConfig& encoder = model.config.encoder;
  const MemoryPlan plan(model.config, {});
  const bool causal = encoder.direction == Direction::causal;
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<18}{}\n", name, value);
  };
  line("hash", model.hash);
  line("classes", class_list(model.metadata));
  line("parameters", fmt::format("{}", parameters_of(model)));
  line("encoder", fmt::format("{} layers of {}, state {}, {}", encoder.layers, encoder.d_model, encoder.d_state,
                              causal ? "causal" : "bidirectional"));
  line("pooling", std::string(name_of(model.config.pooling)));
  line("training window",
       model.metadata.training_window > 0 ? fmt::format("{} bases", model.metadata.training_window) : "not known");
  line("memory", causal ? fmt::format("{} for any length", format_bytes(plan.bytes(kBatchTokens)))
                        : fmt::format("{}, and {} for a whole record of a million bases",
                                      format_bytes(plan.bytes(kBatchTokens)), format_bytes(plan.bytes(1'000'000))));
  line("made by", fmt::format("strandline {}", model.metadata.program_version));
  if (!model.metadata.training_command.empty()) line("command", model.metadata.training_command);
  const Json metrics = Json::parse(model.metadata.metrics_json);
  for (const auto& [name, value] : metrics.items()) {
    if (value.is_number()) line(name, value.dump());
  }
  return text;
}

void run(const InfoArguments& arguments) {
  const StoredModel model = load_model(arguments.model);
  OutputFile output("-");
  output.write(arguments.json ? as_json(model) : as_text(model));
  output.commit();
}

}  // namespace

void add_model_info(CLI::App& parent) {
  CLI::App* command = parent.add_subcommand("info", "What a model file holds, checked in full");
  const auto arguments = std::make_shared<InfoArguments>();
  command->add_option("model", arguments->model, "Model file")->required()->type_name("MODEL");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(kExamples);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace strandline
