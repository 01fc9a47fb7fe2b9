// What a training run needs of its data, whatever they are: examples to learn from, to choose weights by, and to judge
// with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/run/example_source.hpp"

namespace strandline {

/// What a class was learnt from and judged on.
struct ClassData {
  std::string name;
  std::int64_t training_sequences = 0;
  std::int64_t training_bases = 0;
  std::int64_t held_out_sequences = 0;
  std::int64_t held_out_bases = 0;
  std::string held_out;  ///< in words
};

/// The three parts never share an example that training draws from: validation and held-out examples come from
/// sequences that training does not touch. The sources live as long as this.
class TrainingData {
 public:
  virtual ~TrainingData() = default;

  /// One per class, in the order of class ids.
  virtual const std::vector<ClassData>& classes() const = 0;
  /// Endless.
  virtual const ExampleSource& training() const = 0;
  /// Chooses the weights that are kept.
  virtual const ExampleSource& validation() const = 0;
  /// Judges the model. @param length bases per example; 0: as the data are.
  virtual std::unique_ptr<ExampleSource> held_out(std::int64_t length) const = 0;

  virtual double mean_tokens() const = 0;  ///< of a training example
  virtual std::int64_t longest_training_example() const = 0;
  virtual std::int64_t examples_per_epoch() const = 0;
  /// How to read the held-out numbers, in sentences.
  virtual std::vector<std::string> notes() const = 0;
};

}  // namespace strandline
