#include "pipelines/slide/predict_slides.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "core/base/error.hpp"
#include "core/model/classifier.hpp"
#include "io/features/feature_bag.hpp"
#include "io/tables/tsv_writer.hpp"
#include "pipelines/slide/bag_store.hpp"
#include "pipelines/slide/label_table.hpp"

namespace strandline {
namespace {

constexpr int kDigits = 6;

std::vector<LoadedMil> load_models(const std::string& path, Backend& backend) {
  std::vector<LoadedMil> models;
  std::string first;
  for (const std::string& file : find_models(path)) {
    models.push_back(load_mil_model(file, backend));
    if (first.empty()) first = file;
    const LoadedMil& one = models.front();
    const LoadedMil& other = models.back();
    const bool alike = one.metadata.class_names == other.metadata.class_names &&
                       one.metadata.order == other.metadata.order &&
                       one.model->config().in_features == other.model->config().in_features;
    if (!alike) throw DataError({.file = file}, "has other classes, features or order of patches than " + first);
  }
  return models;
}

std::vector<std::string> bag_paths(const std::vector<std::string>& given) {
  std::vector<std::string> paths;
  for (const std::string& path : given) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      paths.push_back(path);
      continue;
    }
    for (const BagFile& bag : list_bags(path)) paths.push_back(bag.path);
  }
  return paths;
}

class Predictor {
 public:
  Predictor(const SlidePredictOptions& options, std::vector<LoadedMil> models)
      : options_(options), models_(std::move(models)) {}

  const std::vector<std::string>& class_names() const { return models_.front().metadata.class_names; }

  OrderedBag read(const std::string& path) const {
    BagOptions bag_options;
    if (!options_.coordinates.empty())
      bag_options.coordinates_path = options_.coordinates + "/" + slide_id_of(path) + ".h5";
    OrderedBag bag = read_ordered_bag(path, models_.front().metadata.order, bag_options);
    const std::int64_t width = models_.front().model->config().in_features;
    if (bag.patches() == 0) throw DataError({.file = path}, "the slide has no patches: no tissue was found");
    if (bag.info.width != width) {
      throw DataError(
          {.file = path},
          "has " + std::to_string(bag.info.width) + " features per patch, the model takes " + std::to_string(width),
          "Use features of the encoder that the model was trained on");
    }
    return bag;
  }

  std::vector<double> probabilities(const OrderedBag& bag) const {
    std::vector<double> mean(class_names().size(), 0);
    std::vector<double> row(mean.size());
    std::vector<float> logits(mean.size());
    for (const LoadedMil& one : models_) {
      one.model->predict({bag.features, bag.patches()}, {.logits = logits});
      class_probabilities(logits, row);
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += row[i] / static_cast<double>(models_.size());
    }
    return mean;
  }

 private:
  const SlidePredictOptions& options_;
  std::vector<LoadedMil> models_;
};

void write_row(TsvWriter& table, const std::string& slide, std::int64_t patches,
               const std::vector<double>& probabilities, const std::vector<std::string>& class_names) {
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  table.field(slide).field(patches).field(class_names[static_cast<std::size_t>(best - probabilities.begin())]);
  table.field(*best, kDigits);
  for (const double probability : probabilities) table.field(probability, kDigits);
  table.field(".").end_row();
}

void write_failure(TsvWriter& table, const std::string& slide, std::size_t classes, const std::string& reason) {
  table.field(slide);
  for (std::size_t i = 0; i < classes + 3; ++i) table.missing();
  table.field(reason).end_row();
}

}  // namespace

std::vector<std::string> find_models(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::string> models;
  while (true) {
    const std::string file = path + "/fold_" + std::to_string(models.size()) + "/model.h5";
    if (!std::filesystem::exists(file, error)) break;
    models.push_back(file);
  }
  if (models.empty())
    throw DataError({.file = path}, "the folder has no fold_0/model.h5",
                    "Give a model, or the folder that 'strandline slide train' wrote");
  return models;
}

SlidePredictSummary predict_slides(const SlidePredictOptions& options, Backend& backend,
                                   const SlidePredictControl& control) {
  SlidePredictSummary summary;
  summary.models = std::ssize(find_models(options.model));
  const Predictor predictor(options, load_models(options.model, backend));
  const std::vector<std::string> paths = bag_paths(options.bags);
  std::vector<std::string> columns{"slide_id", "patches", "label", "score"};
  for (const std::string& name : predictor.class_names()) columns.push_back(std::string("p_").append(name));
  columns.emplace_back("note");
  TsvWriter table(options.output, columns);
  for (const std::string& path : paths) {
    if (control.stop.stop_requested()) throw InterruptedError("stopped while predicting; no table was written");
    const std::string slide = slide_id_of(path);
    std::optional<OrderedBag> bag;
    std::string failure;
    try {
      bag = predictor.read(path);
    } catch (const DataError& error) {
      failure = error.what();
    } catch (const IoError& error) {
      failure = error.what();
    }
    if (bag) write_row(table, slide, bag->patches(), predictor.probabilities(*bag), predictor.class_names());
    ++summary.slides;
    if (!bag) {
      write_failure(table, slide, predictor.class_names().size(), failure);
      ++summary.failed;
      if (summary.first_failure.empty()) summary.first_failure = failure;
    }
    if (control.progress) control.progress(summary.slides, std::ssize(paths));
  }
  table.commit();
  return summary;
}

}  // namespace strandline
