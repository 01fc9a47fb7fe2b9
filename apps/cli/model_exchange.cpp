// `strandline model import` and `strandline model export`
#include "pipelines/run/model_exchange.hpp"

#include <cstdio>
#include <memory>

#include "apps/cli/commands.hpp"

namespace strandline {
namespace {

constexpr const char* kImportExamples =
    "Example:\n"
    "  strandline model import mamba2-dna/model.safetensors -o encoder.h5\n"
    "Reads the layouts of transformers (Mamba2ForCausalLM) and of state-spaces (mamba_ssm), told apart by "
    "config.json.\n"
    "A language-model head is left out. DNA letters are tokens 7 to 11 (A, C, G, T, N). The result has no classes: use "
    "it\n"
    "with 'dna embed', or as the start of 'dna train'.";
constexpr const char* kExportExamples =
    "Examples:\n"
    "  strandline model export model.h5 -o exported/\n"
    "  strandline model export model.h5 -o exported/ --layout state-spaces\n"
    "Writes model.safetensors and config.json: the encoder alone, without pooling, classes and head.";

struct ImportArguments {
  std::string weights;
  std::string config;
  std::string output;
};

struct ExportArguments {
  std::string model;
  std::string folder;
  std::string layout = "hugging-face";
};

}  // namespace

void add_model_import(CLI::App& parent) {
  CLI::App* command = parent.add_subcommand("import", "A model file from safetensors made elsewhere");
  const auto arguments = std::make_shared<ImportArguments>();
  command->add_option("weights", arguments->weights, "Weights")->required()->type_name("SAFETENSORS");
  command->add_option("--config", arguments->config, "Configuration; default: config.json beside the weights")
      ->type_name("JSON");
  command->add_option("-o,--output", arguments->output, "Model file to write")->required()->type_name("MODEL");
  command->footer(kImportExamples);
  command->callback(
      [arguments] { save_model(arguments->output, import_model(arguments->weights, arguments->config)); });
}

void add_model_export(CLI::App& parent) {
  CLI::App* command = parent.add_subcommand("export", "A model's encoder as safetensors for others");
  const auto arguments = std::make_shared<ExportArguments>();
  command->add_option("model", arguments->model, "Model file")->required()->type_name("MODEL");
  command->add_option("-o,--output", arguments->folder, "Folder to write to")->required()->type_name("FOLDER");
  command->add_option("--layout", arguments->layout, "hugging-face or state-spaces")
      ->check(CLI::IsMember({"hugging-face", "state-spaces"}))
      ->capture_default_str();
  command->footer(kExportExamples);
  command->callback([arguments] {
    const auto layout =
        arguments->layout == "hugging-face" ? ExchangeLayout::hugging_face : ExchangeLayout::state_spaces;
    export_model(load_model(arguments->model), layout, arguments->folder);
  });
}

}  // namespace strandline
