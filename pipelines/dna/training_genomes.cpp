#include "pipelines/dna/training_genomes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

using Regions = std::vector<std::vector<Region>>;

SamplerOptions sampler_options(const GenomeDataOptions& options) {
  SamplerOptions out;
  out.min_length = options.min_length;
  out.max_length = options.max_length;
  out.max_unknown_fraction = options.max_unknown_fraction;
  out.both_strands = options.both_strands;
  out.weighting = options.weighting;
  out.seed = seed_for(options.seed, RandomUse::training_windows);
  return out;
}

TilingOptions tiling_options(const GenomeDataOptions& options, std::int64_t length, bool validation) {
  TilingOptions out;
  out.length = length;
  // Only tiles of the training length choose weights; at another length all tiles judge.
  out.set_apart = length == options.max_length ? options.validation_windows : 0;
  out.give_set_apart = validation;
  out.windows_per_class = validation ? options.validation_windows : options.held_out_windows;
  out.max_unknown_fraction = options.max_unknown_fraction;
  out.both_strands = options.both_strands;
  out.seed = seed_for(options.seed, RandomUse::validation_windows);
  return out;
}

class Genomes final : public TrainingData {
 public:
  explicit Genomes(const GenomeDataOptions& options);

  const std::vector<ClassData>& classes() const override { return classes_; }
  const ExampleSource& training() const override { return *training_; }
  const ExampleSource& validation() const override { return *validation_; }
  std::unique_ptr<ExampleSource> held_out(std::int64_t length) const override;
  double mean_tokens() const override { return 0.5 * static_cast<double>(options_.min_length + options_.max_length); }
  std::int64_t longest_training_example() const override { return options_.max_length; }
  std::int64_t examples_per_epoch() const override;
  std::vector<std::string> notes() const override;

 private:
  void read_files();
  void split();
  ClassData summarise(const std::string& name, const ClassRegions& regions) const;

  GenomeDataOptions options_;
  GenomeStore store_;
  std::vector<std::string> names_;
  std::vector<std::int32_t> held_out_files_;  // indices into store_.files()
  Regions training_regions_;
  Regions held_out_regions_;
  std::vector<ClassData> classes_;
  std::unique_ptr<WindowSampler> training_;
  std::unique_ptr<WindowTiling> validation_;
};

Genomes::Genomes(const GenomeDataOptions& options) : options_(options) {
  for (const GenomeClass& one : options_.classes) names_.push_back(one.name);
  read_files();
  split();
  training_ = std::make_unique<WindowSampler>(store_, training_regions_, names_, sampler_options(options_));
  validation_ = std::make_unique<WindowTiling>(store_, held_out_regions_, names_,
                                               tiling_options(options_, options_.max_length, true));
}

void Genomes::read_files() {
  for (std::size_t class_id = 0; class_id < options_.classes.size(); ++class_id) {
    const auto id = static_cast<std::int32_t>(class_id);
    for (const std::string& file : options_.classes[class_id].files) store_.add_file(file, id);
    for (const std::string& file : options_.classes[class_id].held_out_files) {
      held_out_files_.push_back(static_cast<std::int32_t>(store_.files().size()));
      store_.add_file(file, id);
    }
  }
}

void Genomes::split() {
  HoldoutRule rule;
  rule.files = held_out_files_;
  rule.contig_patterns = options_.held_out_contigs;
  rule.fraction = options_.held_out_fraction;
  rule.shortest_bases = options_.min_length;
  rule.window_bases = options_.max_length;
  rule.seed = seed_for(options_.seed, RandomUse::holdout);
  std::vector<ClassRegions> plan = plan_holdout(store_, names_, rule);
  for (std::size_t class_id = 0; class_id < plan.size(); ++class_id) {
    classes_.push_back(summarise(names_[class_id], plan[class_id]));
    training_regions_.push_back(std::move(plan[class_id].training));
    held_out_regions_.push_back(std::move(plan[class_id].held_out));
  }
}

ClassData Genomes::summarise(const std::string& name, const ClassRegions& regions) const {
  ClassData out;
  out.name = name;
  out.held_out = regions.how;
  for (const Region& region : regions.training) out.training_bases += region.length();
  for (const Region& region : regions.held_out) out.held_out_bases += region.length();
  out.training_sequences = std::ssize(regions.training);
  out.held_out_sequences = std::ssize(regions.held_out);
  return out;
}

std::unique_ptr<ExampleSource> Genomes::held_out(std::int64_t length) const {
  const std::int64_t bases = length > 0 ? length : options_.max_length;
  return std::make_unique<WindowTiling>(store_, held_out_regions_, names_, tiling_options(options_, bases, false));
}

// As many windows as it takes to see every base once on average.
std::int64_t Genomes::examples_per_epoch() const {
  double bases = 0;
  for (const ClassData& data : classes_) bases += static_cast<double>(data.training_bases);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(bases / mean_tokens()));
}

std::vector<std::string> Genomes::notes() const {
  return {fmt::format(
      "Held-out windows lie side by side in sequences that training never draws from; where a sequence was cut, {} "
      "bases between the parts are used by "
      "neither. Up to {} windows per class chose the weights; windows of the training length that judge are others.",
      options_.max_length, options_.validation_windows)};
}

}  // namespace

std::unique_ptr<TrainingData> load_genomes(const GenomeDataOptions& options) {
  return std::make_unique<Genomes>(options);
}

}  // namespace strandline
