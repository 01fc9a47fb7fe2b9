// Genomes in memory, two bits a base, for sampling windows from them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace strandline {

/// One record of a sequence file.
struct Contig {
  std::string name;
  std::int32_t class_id = 0;
  std::int32_t file = 0;  ///< index into GenomeStore::files()
  std::int64_t length = 0;
};

/// A, C, G and T are kept as two bits; every other letter is "unknown" (N) and kept as a run. Case is not kept.
/// Memory: a quarter of a byte per base and 16 bytes per run of N. After loading it may be read from several threads.
class GenomeStore {
 public:
  /// Appends every record of a FASTA or FASTQ file (plain, gzip, BGZF) as a contig of `class_id`.
  /// @throws IoError, DataError as open_sequences; DataError for a letter that is no nucleotide.
  void add_file(const std::string& path, std::int32_t class_id);
  /// Appends one contig. `letters` may be of any length.
  void add_contig(const std::string& name, std::int32_t class_id, std::string_view letters);

  std::span<const Contig> contigs() const { return contigs_; }
  const std::vector<std::string>& files() const { return files_; }
  /// Bases that are unknown in [begin, end) of a contig.
  std::int64_t unknown_bases(std::int64_t contig, std::int64_t begin, std::int64_t end) const;
  /// Writes the token ids of [begin, end) of a contig, forward strand, to `ids`.
  void copy_ids(std::int64_t contig, std::int64_t begin, std::int64_t end, std::int32_t* ids) const;

 private:
  struct UnknownRun {
    std::int64_t begin;
    std::int64_t end;
    std::int64_t before;  // unknown bases in earlier runs of the contig
  };
  struct Bases {
    std::vector<std::uint8_t> packed;  // base i in bits 2 * (i % 4) of byte i / 4
    std::vector<UnknownRun> unknown;
  };

  void begin_contig(const std::string& name, std::int32_t class_id);
  void append(std::string_view letters, const std::string& file);
  std::size_t first_run_ending_after(const Bases& bases, std::int64_t position) const;

  std::vector<Contig> contigs_;
  std::vector<Bases> bases_;
  std::vector<std::string> files_;
};

}  // namespace strandline
