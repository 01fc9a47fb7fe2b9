#include "pipelines/slide/folds.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "core/base/error.hpp"
#include "io/tables/csv_text.hpp"
#include "io/tables/table_reader.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

using Slides = std::vector<std::int64_t>;

// Draws of one class in one fold must not be those of another.
constexpr std::int64_t kFoldsApart = 1 << 20;

struct Patient {
  std::string name;
  Slides slides;
  std::int32_t label = 0;
};

// Patients of each class, by name: the order of the table's rows changes nothing.
std::vector<std::vector<Patient>> patients_by_class(const LabelTable& table) {
  std::map<std::string, Slides> slides_of;
  for (std::int64_t i = 0; i < std::ssize(table.slides); ++i)
    slides_of[table.slides[static_cast<std::size_t>(i)].patient].push_back(i);
  std::vector<std::vector<Patient>> classes(table.class_names.size());
  for (auto& [name, slides] : slides_of) {
    std::vector<std::int64_t> votes(classes.size(), 0);
    for (const std::int64_t slide : slides)
      ++votes[static_cast<std::size_t>(table.slides[static_cast<std::size_t>(slide)].label)];
    const auto label = static_cast<std::int32_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
    classes[static_cast<std::size_t>(label)].push_back({name, std::move(slides), label});
  }
  return classes;
}

// Element `position` of a shuffled list, by seed and the number of the shuffle.
template <class T>
std::vector<T> shuffled(const std::vector<T>& list, std::uint64_t seed, std::int64_t number) {
  std::vector<T> out;
  for (std::int64_t i = 0; i < std::ssize(list); ++i)
    out.push_back(list[static_cast<std::size_t>(permuted(seed, number, std::ssize(list), i))]);
  return out;
}

void append(const Patient& patient, Slides& slides) {
  slides.insert(slides.end(), patient.slides.begin(), patient.slides.end());
}

std::size_t share_of(double fraction, std::size_t patients) {
  const auto share = static_cast<std::size_t>(std::lround(fraction * static_cast<double>(patients)));
  return std::clamp<std::size_t>(share, 1, patients);
}

class FoldMaker {
 public:
  FoldMaker(const LabelTable& table, const FoldOptions& options)
      : table_(table),
        options_(options),
        seed_(seed_for(options.seed, RandomUse::folds)),
        classes_(patients_by_class(table)) {
    for (std::size_t label = 0; label < classes_.size(); ++label) require_enough(label);
  }

  std::vector<Fold> make() {
    std::vector<Fold> folds(static_cast<std::size_t>(options_.folds));
    std::int64_t dealt = 0;
    for (std::size_t label = 0; label < classes_.size(); ++label) {
      const auto patients = shuffled(classes_[label], seed_, static_cast<std::int64_t>(label));
      for (int fold = 0; fold < options_.folds; ++fold)
        deal(patients, label, fold, dealt, folds[static_cast<std::size_t>(fold)]);
      dealt += std::ssize(patients);
    }
    for (Fold& fold : folds) {
      for (Slides* part : {&fold.train, &fold.validation, &fold.test}) std::sort(part->begin(), part->end());
    }
    return folds;
  }

 private:
  void require_enough(std::size_t label) const {
    const auto patients = std::ssize(classes_[label]);
    const bool k_fold = options_.scheme == FoldOptions::Scheme::k_fold;
    const std::int64_t fewest = k_fold ? std::max<std::int64_t>(3, options_.folds) : 3;
    if (patients >= fewest) return;
    const char* what = table_.has_patients ? " patients" : " slides";
    throw DataError({.file = table_.path},
                    "the class '" + table_.class_names[label] + "' has " + std::to_string(patients) + what +
                        ", fewer than " +
                        (k_fold && options_.folds > 3 ? std::to_string(options_.folds) + " folds"
                                                      : "training, validation and test need (3)"),
                    "Use fewer --folds, add slides, or leave the class out");
  }

  // `dealt`: patients of earlier classes; who comes next in line goes on where they ended, so that folds stay even.
  void deal(const std::vector<Patient>& patients, std::size_t label, int fold, std::int64_t dealt, Fold& out) const {
    std::vector<Patient> rest;
    if (options_.scheme == FoldOptions::Scheme::k_fold) {
      for (std::int64_t i = 0; i < std::ssize(patients); ++i) {
        const Patient& patient = patients[static_cast<std::size_t>(i)];
        if ((dealt + i) % options_.folds == fold) {
          append(patient, out.test);
        } else {
          rest.push_back(patient);
        }
      }
    } else {
      const auto drawn = shuffled(patients, seed_, kFoldsApart * (fold + 1) + static_cast<std::int64_t>(label));
      const std::size_t judged = std::min(share_of(options_.test_fraction, drawn.size()), drawn.size() - 2);
      for (std::size_t i = 0; i < judged; ++i) append(drawn[i], out.test);
      rest.assign(drawn.begin() + static_cast<std::ptrdiff_t>(judged), drawn.end());
    }
    const auto drawn =
        shuffled(rest, seed_, kFoldsApart * (fold + 1) + static_cast<std::int64_t>(label + classes_.size()));
    const std::size_t held = std::min(share_of(options_.validation_fraction, drawn.size()), drawn.size() - 1);
    for (std::size_t i = 0; i < drawn.size(); ++i) append(drawn[i], i < held ? out.validation : out.train);
  }

  const LabelTable& table_;
  const FoldOptions& options_;
  std::uint64_t seed_;
  std::vector<std::vector<Patient>> classes_;
};

void require_valid(const FoldOptions& options) {
  const auto inside = [](double fraction) { return fraction > 0 && fraction < 1; };
  if (options.folds < 2) throw ContractError("make_folds: folds must be 2 or more");
  if (!inside(options.validation_fraction) || !inside(options.test_fraction))
    throw ContractError("make_folds: fractions must be between 0 and 1");
}

// Throws unless no patient is in two parts of the fold, and the fold can be learnt from.
void check_fold(const Fold& fold, const LabelTable& table, const std::string& file) {
  std::map<std::string, std::string> part_of;
  std::vector<bool> learnt(table.class_names.size(), false);
  const std::array<std::pair<const char*, const Slides*>, 3> parts{
      {{"train", &fold.train}, {"val", &fold.validation}, {"test", &fold.test}}};
  for (const auto& [name, slides] : parts) {
    if (slides->empty()) throw DataError({.file = file, .column = name}, "names no slide");
    for (const std::int64_t index : *slides) {
      const LabelledSlide& slide = table.slides[static_cast<std::size_t>(index)];
      const auto [at, is_new] = part_of.emplace(slide.patient, name);
      if (!is_new && at->second != name) {
        throw DataError({.file = file, .record = slide.slide_id},
                        "the patient '" + slide.patient + "' is in " + at->second + " and in " + name,
                        "All slides of a patient belong into one part: the model would be judged on whom it knows");
      }
      if (slides == &fold.train) learnt[static_cast<std::size_t>(slide.label)] = true;
    }
  }
  const auto missing = std::find(learnt.begin(), learnt.end(), false);
  if (missing == learnt.end()) return;
  const std::string& name = table.class_names[static_cast<std::size_t>(missing - learnt.begin())];
  throw DataError({.file = file, .column = "train"}, "has no slide of the class '" + name + "'");
}

}  // namespace

std::vector<Fold> make_folds(const LabelTable& table, const FoldOptions& options) {
  require_valid(options);
  return FoldMaker(table, options).make();
}

Fold read_split(const std::string& path, const LabelTable& table) {
  std::map<std::string, std::int64_t> index_of;
  for (std::int64_t i = 0; i < std::ssize(table.slides); ++i)
    index_of[table.slides[static_cast<std::size_t>(i)].slide_id] = i;
  TableReader reader(path);
  Fold fold;
  const std::array<std::pair<std::size_t, Slides*>, 3> parts{{{reader.column("train"), &fold.train},
                                                              {reader.column("val"), &fold.validation},
                                                              {reader.column("test"), &fold.test}}};
  std::vector<bool> seen(table.slides.size(), false);
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    for (const auto& [column, slides] : parts) {
      const std::string& name = fields[column];
      if (name.empty()) continue;
      const auto at = index_of.find(name);
      if (at == index_of.end()) {
        throw DataError(reader.location(column),
                        "the slide '" + name + "' is not in " + table.path + ", or has no features",
                        "Use splits that were made from this table");
      }
      if (seen[static_cast<std::size_t>(at->second)])
        throw DataError(reader.location(column), "the slide '" + name + "' is there twice");
      seen[static_cast<std::size_t>(at->second)] = true;
      slides->push_back(at->second);
    }
  }
  for (const auto& [column, slides] : parts) std::sort(slides->begin(), slides->end());
  check_fold(fold, table, path);
  return fold;
}

std::vector<Fold> read_splits(const std::string& folder, const LabelTable& table) {
  std::vector<Fold> folds;
  while (true) {
    const std::string path = folder + "/splits_" + std::to_string(folds.size()) + ".csv";
    std::error_code error;
    if (!std::filesystem::exists(path, error)) break;
    folds.push_back(read_split(path, table));
  }
  if (folds.empty())
    throw DataError({.file = folder}, "the folder has no splits_0.csv",
                    "Splits are named splits_0.csv, splits_1.csv, ...");
  return folds;
}

std::string split_csv(const Fold& fold, const LabelTable& table) {
  const std::array<const Slides*, 3> parts{&fold.train, &fold.validation, &fold.test};
  std::string text = ",train,val,test\n";
  for (std::size_t row = 0; row < std::max({fold.train.size(), fold.validation.size(), fold.test.size()}); ++row) {
    text += std::to_string(row);
    for (const Slides* slides : parts) {
      text += ',';
      if (row < slides->size()) text += csv_field(table.slides[static_cast<std::size_t>((*slides)[row])].slide_id);
    }
    text += '\n';
  }
  return text;
}

}  // namespace strandline
