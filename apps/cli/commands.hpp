// Every subcommand. A file of the same name adds its options and its work to `parent`.
#pragma once

#include <CLI/App.hpp>

#include "apps/cli/program.hpp"

namespace strandline {

// `program` must outlive the parse: the work runs inside it, and lets the errors of core/base/error.hpp through.

void add_bench(CLI::App& parent, const Program& program);
void add_dna_embed(CLI::App& parent, const Program& program);
void add_dna_predict(CLI::App& parent, const Program& program);
void add_dna_train(CLI::App& parent, const Program& program);
void add_doctor(CLI::App& parent, const Program& program);
void add_model_export(CLI::App& parent);
void add_model_import(CLI::App& parent);
void add_model_info(CLI::App& parent);
void add_slide_make_example(CLI::App& parent);
void add_slide_predict(CLI::App& parent, const Program& program);
void add_slide_tile(CLI::App& parent, const Program& program);
void add_slide_train(CLI::App& parent, const Program& program);

}  // namespace strandline
