// The program: a table of subcommands, one file each.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "apps/cli/commands.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/cli/stop_signals.hpp"
#include "apps/cli/version_text.hpp"
#include "core/base/error.hpp"

namespace strandline {
namespace {

void add_commands(CLI::App& app, const Program& program) {
  CLI::App* dna = app.add_subcommand("dna", "DNA: train classifiers, classify and embed sequences");
  CLI::App* model = app.add_subcommand("model", "Model files: look inside, import, export");
  CLI::App* slide = app.add_subcommand("slide", "Slides: find tissue, cut patches, train and run aggregators");
  for (CLI::App* group : {dna, model, slide}) group->require_subcommand(1);
  add_dna_train(*dna, program);
  add_dna_predict(*dna, program);
  add_dna_embed(*dna, program);
  add_slide_make_example(*slide);
  add_slide_tile(*slide, program);
  add_slide_train(*slide, program);
  add_slide_predict(*slide, program);
  add_model_info(*model);
  add_model_import(*model);
  add_model_export(*model);
  add_bench(app, program);
  add_doctor(app, program);
}

// The innermost command that was named, with its full name: the one whose --help would have helped.
struct NamedCommand {
  const CLI::App* command;
  std::string name;
};

NamedCommand named_command(const CLI::App& app) {
  NamedCommand named{&app, app.get_name()};
  while (!named.command->get_subcommands().empty()) {
    named.command = named.command->get_subcommands().back();
    named.name += " " + named.command->get_name();
  }
  return named;
}

// The parser misses what is required before it wonders about what it does not know; a misspelt word is then the cause.
std::string problem_of(const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = command.remaining();
  if (unknown.empty() || dynamic_cast<const CLI::RequiredError*>(&error) == nullptr) return error.what();
  return "there is no command or option '" + unknown.front() + "'";
}

int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const NamedCommand named = named_command(app);
  std::fprintf(stderr, "strandline: error: %s\nSee '%s --help'.\n", problem_of(*named.command, error).c_str(),
               named.name.c_str());
  return kExitUsage;
}

// What a stream still holds reaches the file only here: a full disk must not end in success.
void flush_standard_output() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0) throw IoError("standard output", "write", errno);
}

int run(int argc, char** argv) {
  const StopSignals signals;
  Program program{signals.token(), {argv, argv + argc}};
  CLI::App app{"Reads very long DNA sequences with a Mamba-2 encoder: trains classifiers and runs them.", "strandline"};
  app.set_version_flag("--version", version_text, "Version, and what is built in");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  add_commands(app, program);
  try {
    int code = kExitSuccess;
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      code = report_usage(app, error);
    }
    flush_standard_output();
    return code;
  } catch (const std::exception& error) {
    return report(error);
  }
}

}  // namespace
}  // namespace strandline

int main(int argc, char** argv) {
  // A closed pipe shows as a failed write, like any other output that is gone.
  std::signal(SIGPIPE, SIG_IGN);
  // So does a file that reaches its size limit.
  std::signal(SIGXFSZ, SIG_IGN);
  return strandline::run(argc, argv);
}
