// `strandline slide train`
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/commands.hpp"
#include "apps/cli/device.hpp"
#include "apps/cli/progress.hpp"
#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "pipelines/run/checkpoint_store.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/run/run_lock.hpp"
#include "pipelines/slide/slide_report.hpp"
#include "pipelines/slide/train_slides.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter = R"(Examples:
  strandline slide train --features h5_files --table labels.csv --model abmil -o run
  strandline slide train --features job/20x_256px_0px_overlap/features_uni --table labels.csv --splits splits/task_1 -o run
Bags are the files of CLAM, TRIDENT, STAMP, slideflow (.h5, .pt, .npy); the table has the columns case_id, slide_id, label.
The output folder gets fold_<i>/model.h5, fold_<i>.csv, summary.csv and splits_<i>.csv as CLAM writes them, predictions.tsv,
metrics.json, report.html and manifest.json. A run that was killed or stopped goes on when the same command is given again;
it ends with the same models, bit for bit.)";

struct TrainArguments {
  SlideTrainOptions train;
  DeviceOptions device;
  std::string output;
  std::string model = "abmil";
  std::string order;
  std::string missing = "error";
  std::string loss_weights = "equal";
  std::string scheme = "k-fold";
  std::vector<std::string> settings;
  bool weighted_sample = false;
  double cache_gib = 4;
  bool restart = false;
  bool quiet = false;
};

void declare_data(CLI::App& command, TrainArguments& arguments) {
  SlideTrainOptions& train = arguments.train;
  const char* group = "Data";
  command.add_option("--features", train.features, "Folder of bags of patch features, one file per slide")
      ->required()
      ->type_name("FOLDER")
      ->group(group);
  command.add_option("--table", train.table, "Labels: TSV or CSV")->required()->type_name("FILE")->group(group);
  command.add_option("--slide-column", train.columns.slide, "Column of the table")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--patient-column", train.columns.patient, "Column of the table; without it every slide is a patient")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command.add_option("--label-column", train.columns.label, "Column of the table")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--coords", train.coordinates,
                  "Folder of HDF5 files with coordinates, for features without (.pt, .npy)")
      ->type_name("FOLDER")
      ->group(group);
  command
      .add_option("--patch-order", arguments.order,
                  "Order of the patches (row when all bags have coordinates, else file); random:SEED shuffles")
      ->type_name("file|row|column|serpentine|hilbert|random[:SEED]")
      ->group(group);
  command
      .add_option("--missing", arguments.missing, "Slides without features, patches or label: stop, or leave them out")
      ->check(CLI::IsMember({"error", "skip"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--cache-gib", arguments.cache_gib, "Memory for bags that were read; changes speed only")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("GIB")
      ->capture_default_str()
      ->group(group);
}

void declare_folds(CLI::App& command, TrainArguments& arguments) {
  FoldOptions& folds = arguments.train.folds;
  const char* group = "Folds";
  command.add_option("--folds", folds.folds, "Number of folds, by patient, stratified")
      ->check(CLI::Range(2, 1000))
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--scheme", arguments.scheme, "Judge every patient once, or draw --test-fraction anew for every fold")
      ->check(CLI::IsMember({"k-fold", "monte-carlo"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--val-fraction", folds.validation_fraction, "Share of the other patients that chooses the weights")
      ->check(CLI::Range(0.001, 0.9))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  command.add_option("--test-fraction", folds.test_fraction, "Of --scheme monte-carlo")
      ->check(CLI::Range(0.001, 0.9))
      ->type_name("SHARE")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--splits", arguments.train.splits, "Instead: a folder with CLAM's splits_0.csv, splits_1.csv, ...")
      ->type_name("FOLDER")
      ->group(group);
}

void declare_training(CLI::App& command, TrainArguments& arguments) {
  SlideTrainOptions& train = arguments.train;
  const char* group = "Training";
  const auto positive = CLI::Range(std::int64_t{1}, std::int64_t{1} << 40);
  const auto count = CLI::Range(std::int64_t{0}, std::int64_t{1} << 40);
  command.add_option("--model", arguments.model, "Aggregator: mean, max, abmil, clam_sb, transmil, mamba2mil, bimamba")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--set", arguments.settings, "A field of the aggregator over the published one, such as d_model=256")
      ->type_name("FIELD=VALUE")
      ->take_all()
      ->group(group);
  command.add_option("--epochs", train.epochs, "Most epochs")->check(positive)->capture_default_str()->group(group);
  command
      .add_option("--patience", train.patience, "Stop after so many epochs without a smaller validation loss; 0: never")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command.add_option("--min-epochs", train.patience_from_epoch, "But not before this epoch")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command.add_option("--bags-per-step", train.bags_per_step, "Bags of one optimiser step")
      ->check(positive)
      ->capture_default_str()
      ->group(group);
  command.add_option("--lr", train.learning_rate, "Learning rate")
      ->check(CLI::Range(1e-12, 10.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--weight-decay", train.weight_decay, "Decoupled")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--clip", train.clip, "Largest norm of the gradient; 0: none")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str()
      ->group(group);
  command.add_option("--label-smoothing", train.label_smoothing, "Share of the target that goes to the other classes")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--class-weights", arguments.loss_weights,
                  "Of the loss: equal, or by the inverse of a class's frequency")
      ->check(CLI::IsMember({"equal", "balanced"}))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--weighted-sample", arguments.weighted_sample, "Draw every class as often as the others")
      ->group(group);
  command.add_option("--seed", train.seed, "Of folds, first weights, order of bags, dropout")
      ->capture_default_str()
      ->group(group);
}

PatchOrder parse_order(const std::string& text) {
  const std::size_t colon = text.find(':');
  const auto kind = order_kind_of(text.substr(0, colon));
  PatchOrder order{kind.value_or(OrderKind::row), 0};
  bool sound = kind.has_value();
  if (colon != std::string::npos) {
    sound = sound && order.kind == OrderKind::random && CLI::detail::lexical_cast(text.substr(colon + 1), order.seed);
  }
  if (!sound) throw CLI::ValidationError("--patch-order", "'" + text + "' is no order of patches");
  return order;
}

void resolve(TrainArguments& arguments) {
  SlideTrainOptions& train = arguments.train;
  const auto kind = mil_kind_of(arguments.model);
  if (!kind)
    throw CLI::ValidationError(
        "--model", "'" + arguments.model +
                       "' is no aggregator; there are mean, max, abmil, clam_sb, transmil, mamba2mil, bimamba");
  train.kind = *kind;
  if (!arguments.order.empty()) train.order = parse_order(arguments.order);
  for (const std::string& setting : arguments.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) throw CLI::ValidationError("--set", "'" + setting + "' is not FIELD=VALUE");
    train.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  train.missing = arguments.missing == "skip" ? MissingPolicy::skip : MissingPolicy::error;
  train.loss_weights = arguments.loss_weights == "balanced" ? LossWeights::balanced : LossWeights::equal;
  train.sampling = arguments.weighted_sample ? BagSampling::by_class : BagSampling::shuffle;
  train.folds.scheme = arguments.scheme == "k-fold" ? FoldOptions::Scheme::k_fold : FoldOptions::Scheme::monte_carlo;
  train.folds.seed = train.seed;
  train.cache_bytes = static_cast<std::int64_t>(arguments.cache_gib * 0x1p30);
}

class SlideTraining {
 public:
  SlideTraining(const TrainArguments& arguments, const Program& program)
      : arguments_(arguments), program_(program), progress_(arguments.quiet) {}

  void run() {
    manifest_.started = utc_now();
    manifest_.command_line = program_.command_line;
    manifest_.seed = arguments_.train.seed;
    manifest_.threads = resolved_threads(arguments_.device);
    const SlideData data = load_slide_data(arguments_.train);
    const MilConfig config = config_of(data);
    manifest_.inputs.push_back(describe_input(arguments_.train.table));
    const auto backend = make_backend(arguments_.device);
    manifest_.backend = backend->name();
    progress_.say(describe_backend(*backend, arguments_.device));
    std::error_code error;
    std::filesystem::create_directories(arguments_.output, error);
    if (error) throw IoError(arguments_.output, "create", error.value());
    const RunLock lock(arguments_.output + "/lock", "this training run");
    const SlideRun run{arguments_.train, data, config, arguments_.output, *backend};
    manifest_.config_json = run_config_json(run);
    say_left_out(data);
    train(run);
    save(run);
  }

 private:
  MilConfig config_of(const SlideData& data) const {
    try {
      return mil_config_of(arguments_.train, data);
    } catch (const ContractError& error) {
      throw CLI::ValidationError("--model, --set", error.what());
    }
  }

  void say_left_out(const SlideData& data) {
    if (!data.left_out.empty())
      progress_.show(fmt::format("{} slides are left out; manifest.json names them", data.left_out.size()));
  }

  void train(const SlideRun& run) {
    SlideRunControl control{.stop = program_.stop};
    for (const std::string& word : program_.command_line)
      control.training_command += (control.training_command.empty() ? "" : " ") + word;
    control.progress = [this](const SlideProgress& at) { show(at); };
    for (std::int64_t fold = 0; fold < std::ssize(run.data.folds); ++fold) {
      if (arguments_.restart) clear(run, fold);
      write_whole_file(fmt::format("{}/splits_{}.csv", run.output, fold),
                       split_csv(run.data.folds[static_cast<std::size_t>(fold)], run.data.table));
      results_.push_back(run_fold(run, fold, control));
      const FoldResult& result = results_.back();
      const Scores test = score(result.test);
      progress_.show(fmt::format("fold {} of {}: AUROC {:.3f}, {:.1f} % right of {} slides (step {} of {})", fold + 1,
                                 run.data.folds.size(), test.auroc, 100 * test.accuracy, result.test.examples(),
                                 result.history.best_step, result.history.state.step));
    }
  }

  static void clear(const SlideRun& run, std::int64_t fold) {
    const std::string folder = fmt::format("{}/fold_{}/checkpoints", run.output, fold);
    std::error_code error;
    if (std::filesystem::exists(folder, error)) CheckpointStore(folder, run_config_json(run)).clear();
  }

  void show(const SlideProgress& at) {
    if (!progress_.is_due()) return;
    progress_.show(fmt::format("fold {} of {}  step {}/{}  loss {:.3f}  {} left at most", at.fold + 1, at.folds,
                               at.training.step, at.training.steps, at.training.loss,
                               format_duration(at.training.seconds_left)));
  }

  void save(const SlideRun& run) {
    const OutOfFold all = collect(run.data, results_);
    const BootstrapOptions bootstrap{1000, arguments_.train.seed, all.patients};
    const Judgement judgement{std::string(name_of(run.config.kind)), 0, false, evaluate(all.predictions, bootstrap)};
    const auto path = [&](const std::string& name) { return run.output + "/" + name; };
    for (std::size_t fold = 0; fold < results_.size(); ++fold) {
      const auto number = static_cast<std::int64_t>(fold);
      write_whole_file(path(fmt::format("fold_{}.csv", fold)), fold_csv(run.data, number, results_[fold].test));
      manifest_.outputs.emplace_back(fmt::format("model of fold {}", fold),
                                     path(fmt::format("fold_{}/model.h5", fold)));
    }
    write_whole_file(path("summary.csv"), summary_csv(results_));
    write_whole_file(path("predictions.tsv"), predictions_tsv(run.data, all));
    write_whole_file(path("metrics.json"), to_json({judgement}, run.data.table.class_names));
    for (const char* name : {"summary.csv", "predictions.tsv", "metrics.json", "report.html"})
      manifest_.outputs.emplace_back(name, path(name));
    manifest_.finished = utc_now();
    manifest_.results_json = results_json(run, judgement).dump(-1, ' ', false, Json::error_handler_t::replace);
    write_whole_file(path("report.html"),
                     to_html(SlideReport{title_of(run), run.data, results_, judgement, manifest_, settings()}));
    write_whole_file(path("manifest.json"), to_json(manifest_));
    for (std::size_t fold = 0; fold < results_.size(); ++fold) {
      clear(run, static_cast<std::int64_t>(fold));
      std::error_code ignored;
      std::filesystem::remove(path(fmt::format("fold_{}/checkpoints", fold)), ignored);
    }
    print_summary(judgement.evaluation);
  }

  static std::string title_of(const SlideRun& run) {
    return fmt::format("strandline: {} of {} classes of slides, {} folds", name_of(run.config.kind), run.config.classes,
                       run.data.folds.size());
  }

  Json results_json(const SlideRun& run, const Judgement& judgement) const {
    Json hashes = Json::array();
    for (const FoldResult& result : results_) hashes.push_back(result.model_hash);
    return {{"model_hashes", hashes},
            {"accuracy", judgement.evaluation.scores.accuracy},
            {"auroc", judgement.evaluation.scores.auroc},
            {"slides", judgement.evaluation.examples},
            {"left_out", run.data.left_out}};
  }

  std::vector<std::pair<std::string, std::string>> settings() const {
    std::vector<std::pair<std::string, std::string>> out;
    const Json config = Json::parse(manifest_.config_json);
    for (const auto& [name, value] : config.at("model").at("aggregator").items()) out.emplace_back(name, value.dump());
    for (const char* name :
         {"epochs", "patience", "bags_per_step", "learning_rate", "weight_decay", "sampling", "loss_weights"})
      out.emplace_back(name, config.at(name).dump());
    for (std::size_t i = 0; i < results_.size(); ++i)
      out.emplace_back(fmt::format("Hash of model {} (SHA-256)", i), results_[i].model_hash);
    return out;
  }

  void print_summary(const Evaluation& evaluation) const {
    const std::string text = fmt::format(
        "{}: {} folds, {} slides judged\naccuracy {:.4f} ({:.4f} to {:.4f})\nAUROC    {:.4f} ({:.4f} to {:.4f})\n",
        arguments_.output, results_.size(), evaluation.examples, evaluation.scores.accuracy, evaluation.low.accuracy,
        evaluation.high.accuracy, evaluation.scores.auroc, evaluation.low.auroc, evaluation.high.auroc);
    std::fputs(text.c_str(), stdout);
  }

  const TrainArguments& arguments_;
  const Program& program_;
  Progress progress_;
  RunManifest manifest_;
  std::vector<FoldResult> results_;
};

}  // namespace

void add_slide_train(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("train", "Train aggregators on bags of patch features, cross-validated");
  const auto arguments = std::make_shared<TrainArguments>();
  command->add_option("-o,--output", arguments->output, "Folder of the run")->required()->type_name("FOLDER");
  declare_data(*command, *arguments);
  declare_folds(*command, *arguments);
  declare_training(*command, *arguments);
  command->add_option("--checkpoint-minutes", arguments->train.checkpoint_minutes, "Time between checkpoints")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      ->add_option("--checkpoint-epochs", arguments->train.checkpoint_epochs,
                   "And after so many epochs; 0: by time alone")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  command->add_flag("--restart", arguments->restart, "Begin anew, though there are checkpoints");
  command->add_flag("-q,--quiet", arguments->quiet, "No progress");
  add_device_options(*command, arguments->device);
  command->footer(kFooter);
  command->callback([arguments, &program] {
    resolve(*arguments);
    SlideTraining(*arguments, program).run();
  });
}

}  // namespace strandline
