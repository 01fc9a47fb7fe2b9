// Training data from genomes: windows of sequence files, one class per group of files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/dna/window_sampler.hpp"
#include "pipelines/run/training_data.hpp"

namespace strandline {

struct GenomeClass {
  std::string name;
  std::vector<std::string> files;
  std::vector<std::string> held_out_files;
};

struct GenomeDataOptions {
  std::vector<GenomeClass> classes;
  std::int64_t min_length = 1024;
  std::int64_t max_length = 1024;
  double max_unknown_fraction = 0.1;
  bool both_strands = true;
  ClassWeighting weighting = ClassWeighting::uniform;
  std::vector<std::string> held_out_contigs;  ///< patterns
  double held_out_fraction = 0.1;             ///< of classes that neither a file nor a pattern holds out from
  std::int64_t validation_windows = 40;       ///< per class, of max_length
  std::int64_t held_out_windows = 250;        ///< per class and length
  std::uint64_t seed = 0;
};

/// Reads all files. @throws DataError, IoError: what is wrong with a file or a class, and what to do.
std::unique_ptr<TrainingData> load_genomes(const GenomeDataOptions& options);

}  // namespace strandline
