#include "pipelines/slide/train_slides.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/base/version.hpp"
#include "io/bytes/checksum.hpp"
#include "io/bytes/output_file.hpp"
#include "io/tables/csv_text.hpp"
#include "io/tables/tsv_writer.hpp"
#include "pipelines/run/checkpoint_store.hpp"
#include "pipelines/run/random_order.hpp"
#include "pipelines/slide/mil_store.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDigits = 6;

BagList list_of(const SlideData& data, const std::vector<std::int64_t>& slides) {
  BagList list{.bags = slides, .labels = {}};
  for (const std::int64_t slide : slides)
    list.labels.push_back(data.table.slides[static_cast<std::size_t>(slide)].label);
  return list;
}

// Of the training slides of a fold: classes weigh the same together, the mean over slides is one.
std::vector<float> balanced_weights(const BagList& training, std::int64_t classes) {
  std::vector<double> counts(static_cast<std::size_t>(classes), 0);
  for (const std::int32_t label : training.labels) ++counts[static_cast<std::size_t>(label)];
  std::vector<float> weights;
  for (const double count : counts)
    weights.push_back(static_cast<float>(static_cast<double>(training.labels.size()) /
                                         (static_cast<double>(classes) * std::max(1.0, count))));
  return weights;
}

TrainerOptions trainer_options(const SlideRun& run, const BagList& training, std::uint64_t fold_seed) {
  const SlideTrainOptions& options = run.options;
  const std::int64_t steps_per_epoch =
      std::max<std::int64_t>(1, (std::ssize(training.bags) + options.bags_per_step - 1) / options.bags_per_step);
  TrainerOptions out;
  out.schedule = {options.learning_rate, options.learning_rate, 0, options.epochs * steps_per_epoch};
  out.adamw.weight_decay = options.weight_decay;
  out.adamw.max_norm = options.clip;
  out.examples_per_step = options.bags_per_step;
  if (options.loss_weights == LossWeights::balanced) out.class_weights = balanced_weights(training, run.config.classes);
  out.label_smoothing = options.label_smoothing;
  out.evaluate_every = steps_per_epoch;
  out.patience = options.patience;
  out.patience_from_step = options.patience_from_epoch * steps_per_epoch;
  out.seed = fold_seed;
  return out;
}

// Names and sizes of the bags: to notice that others are there. Their content is not hashed, which would read them all.
std::string fingerprint(const SlideData& data) {
  Sha256 hash;
  for (std::size_t i = 0; i < data.sources.size(); ++i) {
    std::error_code error;
    const LabelledSlide& slide = data.table.slides[i];
    const std::string line = slide.slide_id + '\t' + slide.patient + '\t' + std::to_string(slide.label) + '\t' +
                             std::to_string(data.bags[i].patches) + '\t' +
                             std::to_string(std::filesystem::file_size(data.sources[i].path, error)) + '\n';
    hash.update(line.data(), line.size());
  }
  for (const Fold& fold : data.folds) {
    const std::string text = split_csv(fold, data.table);
    hash.update(text.data(), text.size());
  }
  return hash.hex_digest();
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw IoError(path, "create", error.value());
}

double score_of(const Predictions& predictions, double Scores::*field) { return score(predictions).*field; }

}  // namespace

std::string run_config_json(const SlideRun& run) {
  const SlideTrainOptions& options = run.options;
  const Json all = {{"model", Json::parse(mil_config_to_json(run.config))},
                    {"classes", run.data.table.class_names},
                    {"patch_order", name_of(run.data.order.kind)},
                    {"patch_order_seed", run.data.order.seed},
                    {"epochs", options.epochs},
                    {"patience", options.patience},
                    {"patience_from_epoch", options.patience_from_epoch},
                    {"bags_per_step", options.bags_per_step},
                    {"learning_rate", options.learning_rate},
                    {"weight_decay", options.weight_decay},
                    {"clip", options.clip},
                    {"label_smoothing", options.label_smoothing},
                    {"loss_weights", options.loss_weights == LossWeights::balanced ? "balanced" : "equal"},
                    {"sampling", options.sampling == BagSampling::by_class ? "by_class" : "shuffle"},
                    {"slides", std::ssize(run.data.sources)},
                    {"folds", std::ssize(run.data.folds)},
                    {"data", fingerprint(run.data)},
                    {"backend", run.backend.name()},
                    {"precision", name_of(run.backend.dtype())},
                    {"seed", options.seed}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

FoldResult run_fold(const SlideRun& run, std::int64_t fold, const SlideRunControl& control) {
  const SlideData& data = run.data;
  const Fold& split = data.folds.at(static_cast<std::size_t>(fold));
  const std::string folder = run.output + "/fold_" + std::to_string(fold);
  make_folder(folder + "/checkpoints");
  const std::uint64_t fold_seed = RandomStream(run.options.seed, static_cast<std::uint64_t>(fold)).next_u64();
  BagStore store(data.sources, data.order, run.options.cache_bytes);
  MilModel model(run.config, run.backend);
  model.initialise(seed_for(fold_seed, RandomUse::initialisation));
  BagLearner learner(model, {store, list_of(data, split.train), list_of(data, split.validation), run.options.sampling});
  const TrainerOptions options = trainer_options(run, list_of(data, split.train), fold_seed);
  Trainer trainer(learner, options);
  const CheckpointStore checkpoints(folder + "/checkpoints", run_config_json(run));
  if (const auto checkpoint = checkpoints.load()) trainer.restore(*checkpoint);
  CheckpointPolicy policy{.store = &checkpoints};
  policy.every = std::chrono::duration<double>(60 * run.options.checkpoint_minutes);
  policy.every_steps = run.options.checkpoint_epochs * options.evaluate_every;
  TrainerCallbacks callbacks;
  callbacks.progress = [&](const TrainingProgress& progress) {
    if (control.progress) control.progress({fold, std::ssize(data.folds), progress});
  };
  trainer.run(control.stop, policy, callbacks);

  FoldResult result;
  result.history = trainer.history();
  result.validation = predict_bags(model, store, list_of(data, split.validation), control.stop);
  result.test = predict_bags(model, store, list_of(data, split.test), control.stop);
  result.model_hash = save_mil_model(folder + "/model.h5", model,
                                     {.class_names = data.table.class_names,
                                      .order = data.order,
                                      .encoder = data.bags.front().encoder,
                                      .fold = fold,
                                      .training_command = control.training_command,
                                      .program_version = kVersion});
  return result;
}

OutOfFold collect(const SlideData& data, const std::vector<FoldResult>& results) {
  OutOfFold all;
  all.predictions.classes = std::ssize(data.table.class_names);
  std::map<std::string, std::int64_t> patient_number;
  for (std::size_t fold = 0; fold < results.size(); ++fold) {
    const Predictions& test = results[fold].test;
    all.predictions.labels.insert(all.predictions.labels.end(), test.labels.begin(), test.labels.end());
    all.predictions.probabilities.insert(all.predictions.probabilities.end(), test.probabilities.begin(),
                                         test.probabilities.end());
    for (const std::int64_t slide : data.folds[fold].test) {
      all.slides.push_back(slide);
      all.folds.push_back(static_cast<std::int64_t>(fold));
      const std::string& patient = data.table.slides[static_cast<std::size_t>(slide)].patient;
      all.patients.push_back(patient_number.emplace(patient, std::ssize(patient_number)).first->second);
    }
  }
  return all;
}

namespace {

std::size_t predicted_class(const Predictions& predictions, std::size_t row) {
  const auto begin = predictions.probabilities.begin() + static_cast<std::ptrdiff_t>(row) * predictions.classes;
  return static_cast<std::size_t>(std::max_element(begin, begin + predictions.classes) - begin);
}

void append_probabilities(const Predictions& predictions, std::size_t row, char separator, std::string& text) {
  for (std::int64_t i = 0; i < predictions.classes; ++i) {
    text += separator;
    text += format_fixed(
        predictions.probabilities[row * static_cast<std::size_t>(predictions.classes) + static_cast<std::size_t>(i)],
        kDigits);
  }
}

}  // namespace

std::string fold_csv(const SlideData& data, std::int64_t fold, const Predictions& test) {
  std::string text = "slide_id,Y,Y_hat";
  for (std::int64_t i = 0; i < test.classes; ++i) text += ",p_" + std::to_string(i);
  text += '\n';
  const std::vector<std::int64_t>& slides = data.folds.at(static_cast<std::size_t>(fold)).test;
  for (std::size_t row = 0; row < slides.size(); ++row) {
    text += csv_field(data.table.slides[static_cast<std::size_t>(slides[row])].slide_id) + ',' +
            std::to_string(test.labels[row]) + ',' + std::to_string(predicted_class(test, row));
    append_probabilities(test, row, ',', text);
    text += '\n';
  }
  return text;
}

std::string summary_csv(const std::vector<FoldResult>& results) {
  std::string text = ",folds,test_auc,val_auc,test_acc,val_acc\n";
  for (std::size_t fold = 0; fold < results.size(); ++fold) {
    const std::string number = std::to_string(fold);
    text += number + ',' + number;
    for (double Scores::*field : {&Scores::auroc, &Scores::accuracy}) {
      for (const Predictions* part : {&results[fold].test, &results[fold].validation})
        text += ',' + format_shortest(score_of(*part, field));
    }
    text += '\n';
  }
  return text;
}

std::string predictions_tsv(const SlideData& data, const OutOfFold& all) {
  std::string text = "slide_id\tcase_id\tfold\tlabel\tpredicted";
  for (const std::string& name : data.table.class_names) text += "\tp_" + name;
  text += '\n';
  for (std::size_t row = 0; row < all.slides.size(); ++row) {
    const LabelledSlide& slide = data.table.slides[static_cast<std::size_t>(all.slides[row])];
    text += slide.slide_id + '\t' + slide.patient + '\t' + std::to_string(all.folds[row]) + '\t' +
            data.table.class_names[static_cast<std::size_t>(slide.label)] + '\t' +
            data.table.class_names[predicted_class(all.predictions, row)];
    append_probabilities(all.predictions, row, '\t', text);
    text += '\n';
  }
  return text;
}

}  // namespace strandline
