// Windows of genomes as examples: drawn at random for training, tiled for judging.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/dna/genome_store.hpp"
#include "pipelines/dna/holdout.hpp"
#include "pipelines/run/example_source.hpp"

namespace strandline {

/// A stretch of a contig, read forwards or as its reverse complement.
struct Window {
  std::int32_t class_id = 0;
  std::int64_t contig = 0;
  std::int64_t begin = 0;
  std::int64_t length = 0;
  bool reverse = false;

  bool operator==(const Window&) const = default;
};

/// Replaces `ids` by the tokens of a window.
void read_window(const GenomeStore& store, const Window& window, std::vector<std::int32_t>& ids);

enum class ClassWeighting : std::uint8_t {
  uniform,    ///< every class as often as any other
  by_length,  ///< a class as often as it has bases
};

struct SamplerOptions {
  std::int64_t min_length = 1024;
  std::int64_t max_length = 1024;     ///< lengths are uniform in [min, max]
  double max_unknown_fraction = 0.1;  ///< windows with more N are drawn again
  bool both_strands = true;           ///< a fair coin decides the strand
  ClassWeighting weighting = ClassWeighting::uniform;
  std::uint64_t seed = 0;
};

/// Endless. Window i is a pure function of (options, regions, i): class by weighting, length, then every start in the
/// class's regions with the same probability (so contigs by length), then the strand.
class WindowSampler final : public ExampleSource {
 public:
  /// `store` must outlive the sampler; regions[c] belong to class c and are not empty.
  /// @throws DataError when a class has no region of min_length, or hardly any window with few enough N.
  WindowSampler(const GenomeStore& store, const std::vector<std::vector<Region>>& regions,
                const std::vector<std::string>& class_names, const SamplerOptions& options);

  Window window(std::int64_t index) const;
  std::int64_t size() const override { return kEndless; }
  std::int32_t example(std::int64_t index, std::vector<std::int32_t>& ids) const override;

 private:
  struct ClassSpace {
    std::string name;
    std::vector<Region> regions;             // longest first
    std::vector<std::int64_t> bases_before;  // prefix sums of their lengths, one more than regions
  };
  class Draws;

  bool draw(const ClassSpace& space, Draws& draws, Window& window) const;

  const GenomeStore& store_;
  SamplerOptions options_;
  std::vector<ClassSpace> classes_;
  std::vector<double> class_ends_;  // cumulative probability
};

struct TilingOptions {
  std::int64_t length = 1024;
  std::int64_t windows_per_class = 250;  ///< at most
  /// Tiles of each class set apart for choosing the weights, at most a third of them. A tiling gives out either these
  /// or the others, so that what chooses a model does not judge it.
  std::int64_t set_apart = 0;
  bool give_set_apart = false;
  double max_unknown_fraction = 0.1;
  bool both_strands = true;
  std::uint64_t seed = 0;
};

/// Finite. Tiles of one length side by side, so that no two windows share a base, in a random order that depends on the
/// seed alone; of each class the first windows_per_class. Classes come one after the other.
class WindowTiling final : public ExampleSource {
 public:
  /// @throws DataError when a class has no such tile.
  WindowTiling(const GenomeStore& store, const std::vector<std::vector<Region>>& regions,
               const std::vector<std::string>& class_names, const TilingOptions& options);

  const std::vector<Window>& windows() const { return windows_; }
  std::int64_t size() const override { return static_cast<std::int64_t>(windows_.size()); }
  std::int32_t example(std::int64_t index, std::vector<std::int32_t>& ids) const override;

 private:
  const GenomeStore& store_;
  std::vector<Window> windows_;
};

}  // namespace strandline
