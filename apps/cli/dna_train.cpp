// strandline dna train: from genomes or a table to a model, its scores and its report.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/commands.hpp"
#include "apps/cli/dna_train_options.hpp"
#include "apps/cli/progress.hpp"
#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "io/bytes/output_file.hpp"
#include "pipelines/dna/kmer_judgement.hpp"
#include "pipelines/run/config_json.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/run/model_store.hpp"
#include "pipelines/run/predict_examples.hpp"
#include "pipelines/run/random_order.hpp"
#include "pipelines/run/run_lock.hpp"
#include "pipelines/run/run_manifest.hpp"
#include "pipelines/run/run_plan.hpp"
#include "pipelines/run/train_report.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

// A baseline learns from at most so many of the windows that the model saw; more did not make it better.
constexpr std::int64_t kBaselineExamples = 40000;

// Finds out before training whether a result can be written after it.
void require_writable(const std::string& path) {
  if (!path.empty()) static_cast<void>(OutputFile(path));
}

void write_if_wanted(const std::string& path, const std::string& text) {
  if (!path.empty()) write_whole_file(path, text);
}

// The folder of checkpoints: locked while it lives, and gone afterwards when it holds no checkpoint.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string path) : path_(std::move(path)) {
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    if (error) throw IoError(path_, "create", error.value());
    lock_.emplace(path_ + "/lock", "this model");
  }

  ~CheckpointFolder() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
      if (entry.path().filename() != "lock") return;
    }
    std::filesystem::remove(path_ + "/lock", ignored);
    std::filesystem::remove(path_, ignored);
  }

 private:
  std::string path_;
  std::optional<RunLock> lock_;
};

Json json_of(const TrainerOptions& options) {
  return {{"steps", options.steps()},
          {"examples_per_step", options.examples_per_step},
          {"micro_batch_tokens", options.micro_batch_tokens},
          {"learning_rate", options.schedule.peak},
          {"learning_rate_floor", options.schedule.floor},
          {"warmup_steps", options.schedule.warmup_steps},
          {"beta1", options.adamw.beta1},
          {"beta2", options.adamw.beta2},
          {"eps", options.adamw.eps},
          {"weight_decay", options.adamw.weight_decay},
          {"clip", options.adamw.max_norm},
          {"label_smoothing", options.label_smoothing},
          {"class_weights", options.class_weights},
          {"evaluate_every", options.evaluate_every},
          {"patience", options.patience}};
}

class TrainRun {
 public:
  TrainRun(const DnaTrainOptions& options, const Program& program) : options_(options), program_(program) {}

  void run();

 private:
  void prepare();
  void place_model();
  std::int64_t segment_tokens() const;
  std::string config_json() const;
  void train();
  void judge();
  void save();
  void print_summary() const;
  std::string metrics_json() const { return to_json(judgements_, class_names_); }
  TrainReport report() const;
  void show(const TrainingProgress& progress);
  void say(const std::string& text);

  const DnaTrainOptions& options_;
  const Program& program_;
  RunManifest manifest_;
  std::unique_ptr<TrainingData> data_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::string> class_names_;
  TrainerOptions trainer_options_;
  std::unique_ptr<Classifier> classifier_;
  std::unique_ptr<Progress> progress_;
  std::optional<CheckpointStore> checkpoints_;
  TrainingHistory history_;
  std::vector<Judgement> judgements_;
  std::string model_hash_;
};

void TrainRun::say(const std::string& text) {
  if (!options_.quiet) progress_->show(text);
}

void TrainRun::show(const TrainingProgress& progress) {
  if (!progress_->is_due() && progress.step != progress.steps) return;
  const std::string validation = progress.validation_accuracy < 0
                                     ? ""
                                     : fmt::format("  held out {:.1f} % right", 100 * progress.validation_accuracy);
  progress_->show(fmt::format(
      "step {}/{}  loss {:.3f}{}  {} bases/s  {} left", progress.step, progress.steps, progress.loss, validation,
      with_thousands(static_cast<std::int64_t>(progress.tokens_per_second)), format_duration(progress.seconds_left)));
}

void TrainRun::prepare() {
  for (const std::string& path : {options_.output, options_.report, options_.metrics, options_.manifest_path()})
    require_writable(path);
  manifest_.started = utc_now();
  manifest_.command_line = program_.command_line;
  manifest_.seed = options_.seed;
  manifest_.threads = resolved_threads(options_.device);
  data_ = load_training_data(options_);
  for (const ClassData& one : data_->classes()) class_names_.push_back(one.name);
  // The held-out examples of every length exist: better known before training than after.
  for (const std::int64_t length : options_.judged_lengths()) static_cast<void>(data_->held_out(length));
  for (const std::string& path : options_.inputs()) manifest_.inputs.push_back(describe_input(path));
  require_distinct(manifest_.inputs);
  trainer_options_ = trainer_options(options_, *data_);
  backend_ = make_backend(options_.device);
  manifest_.backend = backend_->name();
  place_model();
  manifest_.config_json = config_json();
}

void TrainRun::place_model() {
  const ClassifierConfig config = model_config(options_, std::ssize(class_names_));
  // A longer example goes through alone.
  const std::int64_t longest = data_->longest_training_example();
  const std::int64_t shortest = options_.table.empty() ? options_.shortest_window() : 1;
  const std::int64_t training = std::max(options_.micro_batch_tokens, longest);
  std::int64_t judged = training;
  for (const std::int64_t length : options_.judged_lengths()) judged = std::max(judged, length);
  // Not more sequences than a step or a judgement has examples, nor than fit.
  const std::int64_t sequences = training / std::max<std::int64_t>(shortest, 1) + 1;
  const RunPlan plan = plan_run(config, *backend_,
                                {.inference = {.tokens = judged, .sequences = sequences, .longest = judged},
                                 .training = {.tokens = training,
                                              .sequences = std::min(sequences, trainer_options_.examples_per_step),
                                              .longest = longest},
                                 .segment_tokens = segment_tokens(),
                                 .memory_bytes = options_.device.memory_bytes,
                                 .cure = longest > options_.micro_batch_tokens ? "Use a smaller --length"
                                                                               : "Use a smaller --micro-batch-tokens"});
  if (!options_.quiet) {
    progress_->say(describe_backend(*backend_, options_.device));
    progress_->say(describe(plan));
  }
  classifier_ = std::make_unique<Classifier>(config, *backend_, plan.encoder);
  strandline::reserve(plan, classifier_->encoder());
}

// As asked for; else as the checkpoint that the run goes on from had it, whatever memory is free this time: sums of
// gradients are grouped by segments.
std::int64_t TrainRun::segment_tokens() const {
  if (options_.device.segment_tokens > 0 || options_.restart) return options_.device.segment_tokens;
  const std::string stored = CheckpointStore::newest_config(options_.checkpoint_folder());
  return stored.empty() ? 0 : Json::parse(stored).value("segment_tokens", std::int64_t{0});
}

// Everything that decides the bits of the model, and nothing else: a checkpoint belongs to a run when this is equal.
std::string TrainRun::config_json() const {
  Json inputs = Json::array();
  for (const InputSummary& input : manifest_.inputs) inputs.push_back(input.sha256);
  const Json all = {{"model", Json::parse(config_to_json(classifier_->config()))},
                    {"classes", class_names_},
                    {"training", json_of(trainer_options_)},
                    {"data",
                     {{"inputs", inputs},
                      {"length", options_.table.empty() ? options_.longest_window() : options_.length.value_or(0)},
                      {"min_length", options_.table.empty() ? options_.shortest_window() : 0},
                      {"max_n", options_.max_n},
                      {"single_strand", options_.single_strand},
                      {"sampling", options_.sampling == ClassWeighting::uniform ? "uniform" : "length"},
                      {"val_files", options_.val_classes},
                      {"val_contigs", options_.val_contigs},
                      {"val_fraction", options_.val_fraction},
                      {"val_windows", options_.val_windows}}},
                    {"backend", backend_->name()},
                    {"precision", name_of(backend_->dtype())},
                    {"segment_tokens", classifier_->encoder().options().segment_tokens},
                    {"seed", options_.seed}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void TrainRun::train() {
  checkpoints_.emplace(options_.checkpoint_folder(), manifest_.config_json);
  if (options_.restart) checkpoints_->clear();
  classifier_->initialise(seed_for(options_.seed, RandomUse::initialisation));
  Trainer trainer(*classifier_, data_->training(), data_->validation(), trainer_options_);
  if (const auto checkpoint = checkpoints_->load()) {
    trainer.restore(*checkpoint);
    say(fmt::format("going on from the checkpoint of step {}", checkpoint->step));
  }
  CheckpointPolicy policy;
  policy.store = &*checkpoints_;
  policy.every = std::chrono::duration<double>(60 * options_.checkpoint_minutes);
  policy.every_steps = options_.checkpoint_steps;
  TrainerCallbacks callbacks;
  callbacks.progress = [this](const TrainingProgress& progress) { show(progress); };
  trainer.run(program_.stop, policy, callbacks);
  history_ = trainer.history();
}

void TrainRun::judge() {
  const BootstrapOptions bootstrap{1000, options_.seed};
  for (const std::int64_t length : options_.judged_lengths()) {
    say("judging on held-out examples");
    const auto examples = data_->held_out(length);
    const Predictions predictions =
        predict_examples(*classifier_, *examples, options_.micro_batch_tokens, program_.stop);
    judgements_.push_back({"Mamba-2", length, false, evaluate(predictions, bootstrap)});
  }
  if (options_.baseline != "kmer") return;
  say("training k-mer baselines");
  KmerJudgementOptions kmer;
  kmer.examples = std::min(kBaselineExamples, trainer_options_.steps() * trainer_options_.examples_per_step);
  kmer.canonical = !options_.single_strand;
  kmer.lengths = options_.judged_lengths();
  kmer.bootstrap = bootstrap;
  kmer.threads = manifest_.threads;
  for (Judgement& judgement : judge_kmer_baselines(*data_, kmer)) judgements_.push_back(std::move(judgement));
  if (program_.stop.stop_requested())
    throw InterruptedError("stopped while judging; the same command goes on from the last checkpoint");
}

TrainReport TrainRun::report() const {
  TrainReport report;
  report.title = fmt::format("strandline: classifier of {} classes", class_names_.size());
  report.classes = data_->classes();
  report.judgements = judgements_;
  report.history = history_;
  report.manifest = manifest_;
  const EncoderConfig& encoder = classifier_->config().encoder;
  report.settings = {
      {"Parameters", with_thousands(classifier_->weights().layout().parameters())},
      {"Blocks, width, state, head width",
       fmt::format("{}, {}, {}, {}", encoder.layers, encoder.d_model, encoder.d_state, encoder.headdim)},
      {"Direction", encoder.direction == Direction::causal ? "causal" : "bidirectional"},
      {"Bases per step", with_thousands(static_cast<std::int64_t>(
                             static_cast<double>(trainer_options_.examples_per_step) * data_->mean_tokens()))},
      {"Learning rate, weight decay",
       fmt::format("{}, {}", trainer_options_.schedule.peak, trainer_options_.adamw.weight_decay)},
      {"Model hash (SHA-256 of configuration and weights)", model_hash_}};
  report.notes = data_->notes();
  report.notes.push_back(
      "Intervals: 95 % percentile bootstrap over examples, 1,000 resamples; examples from one sequence count as "
      "independent.");
  return report;
}

void TrainRun::save() {
  ModelMetadata metadata;
  metadata.class_names = class_names_;
  metadata.training_window = data_->longest_training_example();
  for (const std::string& word : program_.command_line)
    metadata.training_command += (metadata.training_command.empty() ? "" : " ") + word;
  metadata.program_version = kVersion;
  metadata.metrics_json = metrics_json();
  model_hash_ = save_classifier(options_.output, *classifier_, metadata);
  manifest_.outputs.emplace_back("model", options_.output);
  if (!options_.metrics.empty()) manifest_.outputs.emplace_back("metrics", options_.metrics);
  if (!options_.report.empty()) manifest_.outputs.emplace_back("report", options_.report);
  manifest_.finished = utc_now();
  const Json results = {{"model_hash", model_hash_},
                        {"steps", history_.state.step},
                        {"skipped_steps", history_.state.skipped_steps},
                        {"best_step", history_.best_step},
                        {"bases", history_.state.tokens},
                        {"training_seconds", history_.seconds},
                        {"accuracy", judgements_.front().evaluation.scores.accuracy}};
  manifest_.results_json = results.dump();
  write_if_wanted(options_.metrics, metrics_json());
  if (!options_.report.empty()) write_if_wanted(options_.report, to_html(report()));
  write_if_wanted(options_.manifest_path(), to_json(manifest_));
  checkpoints_->clear();
}

void TrainRun::print_summary() const {
  std::string text =
      fmt::format("{:<28} {:>8} {:>9} {:>9}  {}\n", "model", "bases", "examples", "accuracy", "95 % interval");
  for (const Judgement& judgement : judgements_) {
    const Evaluation& evaluation = judgement.evaluation;
    text += fmt::format("{:<28} {:>8} {:>9} {:>7.1f} %  {:.1f} to {:.1f}\n", judgement.model,
                        judgement.length > 0 ? with_thousands(judgement.length) : "rows",
                        with_thousands(evaluation.examples), 100 * evaluation.scores.accuracy,
                        100 * evaluation.low.accuracy, 100 * evaluation.high.accuracy);
  }
  text += fmt::format("{}  model hash {}\n", options_.output, model_hash_);
  std::fputs(text.c_str(), stdout);
}

void TrainRun::run() {
  progress_ = std::make_unique<Progress>(options_.quiet);
  prepare();
  const CheckpointFolder folder(options_.checkpoint_folder());
  train();
  judge();
  save();
  progress_.reset();
  print_summary();
}

}  // namespace

void add_dna_train(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("train", "Train a classifier on genomes or on a table");
  const auto options = std::make_shared<DnaTrainOptions>();
  declare_dna_train_options(*command, *options);
  command->callback([options, &program] {
    check_dna_train_options(*options);
    TrainRun(*options, program).run();
  });
}

}  // namespace strandline
