#include "apps/cli/dna_train_options.hpp"

#include <CLI/Error.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "core/base/error.hpp"
#include "pipelines/dna/training_table.hpp"

namespace strandline {
namespace {

constexpr const char* kFooter = R"(Examples:
  strandline dna train --class ecoli=ecoli.fa.gz --class yeast=chr1.fa.gz,chr2.fa.gz -o species.h5 --report report.html
  strandline dna train --class a=a1.fa,a2.fa --val-class a=a3.fa --class b=b.fa --val-contigs 'chr2*' -o model.h5
  strandline dna train --table promoters.tsv --epochs 10 --baseline kmer -o promoters.h5
  strandline dna train --class a=a.fa --class b=b.fa --device cuda --precision bf16 --memory 40G -o model.h5

A run that was killed or stopped goes on when the same command is given again; it ends with the same model, bit for bit.
Checkpoints lie in <output>.ckpt and are removed at the end.)";

constexpr std::int64_t kDefaultLength = 1024;
constexpr std::int64_t kDefaultMinLength = 256;  // windows of many lengths make a model that also reads reads
constexpr std::int64_t kDefaultSteps = 1600;
constexpr std::int64_t kDefaultEpochs = 10;
constexpr std::int64_t kEvaluations = 10;  // of the validation examples, over a run
constexpr double kFloorShare = 0.01;       // of the peak learning rate, at the end of the cosine

struct NamedFiles {
  std::string name;
  std::vector<std::string> files;
};

NamedFiles parse_class(const std::string& text, const std::string& option) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
    throw CLI::ValidationError(option, "'" + text + "' is not NAME=FILE[,FILE...]");
  }
  NamedFiles out{text.substr(0, equals), {}};
  std::istringstream files(text.substr(equals + 1));
  for (std::string file; std::getline(files, file, ',');) {
    if (file.empty()) throw CLI::ValidationError(option, "'" + text + "' has an empty file name");
    out.files.push_back(file);
  }
  return out;
}

std::vector<GenomeClass> genome_classes(const DnaTrainOptions& options) {
  std::vector<GenomeClass> classes;
  const auto find = [&](const std::string& name) { return std::ranges::find(classes, name, &GenomeClass::name); };
  for (const std::string& text : options.classes) {
    NamedFiles parsed = parse_class(text, "--class");
    if (find(parsed.name) != classes.end()) {
      throw CLI::ValidationError("--class", "class '" + parsed.name + "' is given twice; name all its files once: " +
                                                parsed.name + "=a.fa,b.fa");
    }
    classes.push_back({std::move(parsed.name), std::move(parsed.files), {}});
  }
  for (const std::string& text : options.val_classes) {
    NamedFiles parsed = parse_class(text, "--val-class");
    const auto found = find(parsed.name);
    if (found == classes.end()) throw CLI::ValidationError("--val-class", "there is no --class " + parsed.name);
    found->held_out_files.insert(found->held_out_files.end(), parsed.files.begin(), parsed.files.end());
  }
  return classes;
}

template <class Enum>
CLI::Option* add_choice(CLI::App& command, const std::string& name, Enum& value,
                        const std::map<std::string, Enum>& choices, const std::string& help) {
  std::string names;
  std::string current;
  for (const auto& [text, choice] : choices) {
    names += (names.empty() ? "" : "|") + text;
    if (choice == value) current = text;
  }
  return command.add_option(name, value, help)
      ->transform(CLI::CheckedTransformer(choices, CLI::ignore_case).description(""))
      ->type_name(names)
      ->default_str(current);
}

void declare_data(CLI::App& command, DnaTrainOptions& options) {
  const char* group = "Data";
  command
      .add_option("--class", options.classes,
                  "A class and its sequence files (FASTA, FASTQ; plain or gzip); give one per class")
      ->type_name("NAME=FILE[,FILE...]")
      ->take_all()
      ->group(group);
  command
      .add_option("--table", options.table,
                  "Instead of classes: a TSV or CSV with the columns sequence, label and, optionally, split (train, "
                  "validation, test)")
      ->type_name("FILE")
      ->group(group)
      ->excludes("--class");
  command.add_option("--sequence-column", options.sequence_column, "Column of the table")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command.add_option("--label-column", options.label_column, "Column of the table")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command.add_option("--split-column", options.split_column, "Column of the table")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command
      .add_option(
          "--length", options.length,
          "Bases of the longest training window (1024); with --table, the longest stretch of a row (whole rows)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 28))
      ->type_name("N")
      ->group(group);
  command.add_option("--min-length", options.min_length, "Window lengths are uniform from this (256) to --length")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 28))
      ->type_name("N")
      ->group(group);
  command.add_option("--max-n", options.max_n, "Largest share of N in a window")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  command
      .add_flag("--single-strand", options.single_strand,
                "Sequences as they are; otherwise half of the examples are reverse complements")
      ->group(group);
  add_choice<ClassWeighting>(command, "--sampling", options.sampling,
                             {{"uniform", ClassWeighting::uniform}, {"length", ClassWeighting::by_length}},
                             "How often a class is drawn")
      ->group(group);
}

void declare_held_out(CLI::App& command, DnaTrainOptions& options) {
  const char* group = "Held out";
  command.add_option("--val-class", options.val_classes, "Files of a class that training never sees")
      ->type_name("NAME=FILE[,FILE...]")
      ->take_all()
      ->group(group);
  command
      .add_option("--val-contigs", options.val_contigs, "Contigs that training never sees; '*' and '?' as in a shell")
      ->type_name("NAME[,NAME...]")
      ->delimiter(',')
      ->group(group);
  command
      .add_option("--val-fraction", options.val_fraction,
                  "Share to hold out of classes that neither of these names, or of a table without a split")
      ->check(CLI::Range(0.0, 0.9))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  command.add_option("--val-windows", options.val_windows, "Held-out windows per class that choose the weights")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--eval-windows", options.eval_windows,
                  "Most held-out windows per class and length that judge the model")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_option("--eval-length", options.eval_lengths, "Judge at these lengths (that of training)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 28))
      ->type_name("N[,N...]")
      ->delimiter(',')
      ->group(group);
  command
      .add_option("--baseline", options.baseline,
                  "Also judge logistic regressions on k-mers, k = 3 to 6, trained on the same windows")
      ->check(CLI::IsMember({"none", "kmer"}))
      ->type_name("none|kmer")
      ->capture_default_str()
      ->group(group);
}

void declare_model(CLI::App& command, DnaTrainOptions& options) {
  const char* group = "Model";
  EncoderConfig& encoder = options.model.encoder;
  const auto size = [&](const std::string& name, std::int64_t& value, const std::string& help) {
    command.add_option(name, value, help)
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
        ->type_name("N")
        ->capture_default_str()
        ->group(group);
  };
  size("--d-model", encoder.d_model, "Width of the residual stream");
  size("--layers", encoder.layers, "Mamba-2 blocks");
  size("--d-state", encoder.d_state, "Width of the state");
  size("--headdim", encoder.headdim, "Width of a head");
  size("--d-conv", encoder.d_conv, "Taps of the convolution, 2 to 8");
  size("--expand", encoder.expand, "Inner width over --d-model");
  size("--chunk", encoder.chunk, "Tokens per chunk of the scan");
  add_choice<Direction>(command, "--direction", encoder.direction,
                        {{"causal", Direction::causal}, {"bidirectional", Direction::bidirectional}}, "Way of reading")
      ->group(group);
  add_choice<Pooling>(
      command, "--pooling", options.model.pooling,
      {{"mean", Pooling::mean}, {"last", Pooling::last}, {"max", Pooling::max}, {"attention", Pooling::attention}},
      "From tokens to one vector")
      ->group(group);
  command.add_option("--dropout", encoder.dropout, "Of each block's output in training")
      ->check(CLI::Range(0.0, 0.9))
      ->type_name("P")
      ->capture_default_str()
      ->group(group);
}

void declare_training(CLI::App& command, DnaTrainOptions& options) {
  const char* group = "Training";
  const CLI::Range count(std::int64_t{1}, std::int64_t{1} << 40);
  CLI::Option* steps = command.add_option("--steps", options.steps, "Optimiser steps (1600 for classes)")
                           ->check(count)
                           ->type_name("N")
                           ->group(group);
  command
      .add_option("--epochs", options.epochs,
                  "Passes over the rows, or over as many bases as the classes have (10 for a table)")
      ->check(count)
      ->type_name("N")
      ->group(group)
      ->excludes(steps);
  command.add_option("--batch-tokens", options.batch_tokens, "Bases per optimiser step")
      ->check(count)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_option("--micro-batch-tokens", options.micro_batch_tokens, "Bases at work at once: bounds the memory")
      ->check(count)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_option("--lr", options.learning_rate, "Peak learning rate; a cosine follows")
      ->check(CLI::Range(1e-9, 10.0))
      ->type_name("RATE")
      ->capture_default_str()
      ->group(group);
  command.add_option("--warmup", options.warmup, "Share of the steps in which the rate rises")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--weight-decay", options.adamw.weight_decay,
                  "Of matrices; never of norms, biases, A_log, D, dt_bias")
      ->check(CLI::Range(0.0, 10.0))
      ->type_name("RATE")
      ->capture_default_str()
      ->group(group);
  command.add_option("--clip", options.adamw.max_norm, "Largest norm of the gradient; 0: any")
      ->check(CLI::NonNegativeNumber)
      ->type_name("NORM")
      ->capture_default_str()
      ->group(group);
  command.add_option("--label-smoothing", options.label_smoothing, "Share of the target spread over all classes")
      ->check(CLI::Range(0.0, 0.9))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  add_choice<ClassWeights>(command, "--class-weights", options.class_weights,
                           {{"none", ClassWeights::none}, {"balanced", ClassWeights::balanced}},
                           "balanced: rare classes of a table count more")
      ->group(group);
  command.add_option("--eval-every", options.eval_every, "Steps between validations (a tenth of all)")
      ->check(count)
      ->type_name("N")
      ->group(group);
  command.add_option("--patience", options.patience, "Stop after so many validations without a smaller loss; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options.seed, "Of windows, weights, dropout and intervals")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
}

void declare_output(CLI::App& command, DnaTrainOptions& options) {
  const char* group = "Output";
  command.add_option("-o,--output", options.output, "The model")->required()->type_name("FILE")->group(group);
  command.add_option("--report", options.report, "A report in one HTML file")->type_name("FILE")->group(group);
  command.add_option("--metrics", options.metrics, "Scores, intervals, confusion and calibration as JSON")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--manifest", options.manifest, "Command, versions, inputs and times as JSON (<output>.run.json)")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--checkpoint-minutes", options.checkpoint_minutes, "Time between checkpoints")
      ->check(CLI::NonNegativeNumber)
      ->type_name("MIN")
      ->capture_default_str()
      ->group(group);
  command.add_option("--checkpoint-steps", options.checkpoint_steps, "Also after so many steps; 0: by time alone")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--restart", options.restart, "Forget the checkpoints of an earlier run")->group(group);
  command.add_flag("-q,--quiet", options.quiet, "No progress")->group(group);
}

std::vector<float> balanced_weights(const TrainingData& data) {
  double total = 0;
  for (const ClassData& one : data.classes()) total += static_cast<double>(one.training_sequences);
  std::vector<float> weights;
  const auto classes = static_cast<double>(data.classes().size());
  for (const ClassData& one : data.classes())
    weights.push_back(static_cast<float>(total / (classes * static_cast<double>(one.training_sequences))));
  return weights;
}

}  // namespace

std::vector<std::string> DnaTrainOptions::inputs() const {
  if (!table.empty()) return {table};
  std::vector<std::string> files;
  for (const GenomeClass& one : genome_classes(*this)) {
    files.insert(files.end(), one.files.begin(), one.files.end());
    files.insert(files.end(), one.held_out_files.begin(), one.held_out_files.end());
  }
  return files;
}

std::vector<std::int64_t> DnaTrainOptions::judged_lengths() const {
  if (!eval_lengths.empty()) return eval_lengths;
  return {table.empty() ? longest_window() : 0};
}

std::int64_t DnaTrainOptions::longest_window() const { return length.value_or(kDefaultLength); }

std::int64_t DnaTrainOptions::shortest_window() const {
  return min_length.value_or(std::min(kDefaultMinLength, longest_window()));
}

void declare_dna_train_options(CLI::App& command, DnaTrainOptions& options) {
  command.footer(kFooter);
  declare_data(command, options);
  declare_held_out(command, options);
  declare_model(command, options);
  declare_training(command, options);
  declare_output(command, options);
  add_device_options(command, options.device);
  add_segment_option(command, options.device);
}

void check_dna_train_options(const DnaTrainOptions& options) {
  if (options.table.empty() && options.classes.size() < 2) {
    throw CLI::ValidationError("--class",
                               "a classifier needs at least two classes: give --class twice or more, or --table");
  }
  genome_classes(options);
  if (options.class_weights == ClassWeights::balanced && options.table.empty()) {
    throw CLI::ValidationError("--class-weights", "balanced is for tables; use --sampling with --class");
  }
  if (options.shortest_window() > options.longest_window()) {
    throw CLI::ValidationError("--min-length", "is above --length");
  }
  try {
    model_config(options, 2);
  } catch (const ContractError& error) {
    throw CLI::ValidationError("the model", error.what());
  }
  if (options.output == "-") throw CLI::ValidationError("--output", "a model cannot go to standard output");
}

std::unique_ptr<TrainingData> load_training_data(const DnaTrainOptions& options) {
  if (!options.table.empty()) {
    TableDataOptions out;
    out.path = options.table;
    out.columns = {options.sequence_column, options.label_column, options.split_column};
    out.max_length = options.length.value_or(0);
    out.both_strands = !options.single_strand;
    out.held_out_fraction = options.val_fraction;
    out.seed = options.seed;
    return load_table(out);
  }
  GenomeDataOptions out;
  out.classes = genome_classes(options);
  out.max_length = options.longest_window();
  out.min_length = options.shortest_window();
  out.max_unknown_fraction = options.max_n;
  out.both_strands = !options.single_strand;
  out.weighting = options.sampling;
  out.held_out_contigs = options.val_contigs;
  out.held_out_fraction = options.val_fraction;
  out.validation_windows = options.val_windows;
  out.held_out_windows = options.eval_windows;
  out.seed = options.seed;
  return load_genomes(out);
}

ClassifierConfig model_config(const DnaTrainOptions& options, std::int64_t classes) {
  ClassifierConfig config = options.model;
  config.classes = classes;
  config.validate();
  return config;
}

TrainerOptions trainer_options(const DnaTrainOptions& options, const TrainingData& data) {
  TrainerOptions out;
  out.examples_per_step =
      std::max<std::int64_t>(1, std::llround(static_cast<double>(options.batch_tokens) / data.mean_tokens()));
  const auto steps_of_epochs = [&](std::int64_t epochs) {
    return std::max<std::int64_t>(1, epochs * data.examples_per_epoch() / out.examples_per_step);
  };
  std::int64_t steps = options.table.empty() ? kDefaultSteps : steps_of_epochs(kDefaultEpochs);
  if (options.epochs) steps = steps_of_epochs(*options.epochs);
  if (options.steps) steps = *options.steps;
  out.schedule.total_steps = steps;
  out.schedule.peak = options.learning_rate;
  out.schedule.floor = kFloorShare * options.learning_rate;
  out.schedule.warmup_steps = static_cast<std::int64_t>(options.warmup * static_cast<double>(steps));
  out.adamw = options.adamw;
  out.micro_batch_tokens = options.micro_batch_tokens;
  if (options.class_weights == ClassWeights::balanced) out.class_weights = balanced_weights(data);
  out.label_smoothing = options.label_smoothing;
  out.evaluate_every = options.eval_every.value_or(std::max<std::int64_t>(1, steps / kEvaluations));
  out.patience = options.patience;
  out.seed = options.seed;
  return out;
}

}  // namespace strandline
