// BAM out: the records of an input with tags of our own added.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <variant>

#include "io/dna/sequence_stream.hpp"

namespace strandline {

/// A tag for local use. The SAM specification keeps names with a lower-case letter free for this.
struct LocalTag {
  std::string name;                        ///< two characters, [a-z][a-z0-9]
  std::variant<std::string, float> value;  ///< written as type Z or f
};

/// The @PG line that says who wrote the file.
struct ProgramLine {
  std::string name;  ///< ID and PN; made unique with a suffix when the input has it already
  std::string version;
  std::string command;  ///< tabs and line feeds in it become blanks
};

/// Writes BAM under a temporary name; commit() closes it (with the BGZF end marker), checks that marker, and renames as
/// OutputFile does.
/// "-" is standard output. The header is the input's with a @PG line added.
/// One thread at a time. @throws IoError; ContractError for a tag whose name is not [a-z][a-z0-9] or whose text has
/// control characters.
class AlignmentWriter {
 public:
  AlignmentWriter(const std::string& path, const AlignmentHeader& header, const ProgramLine& program,
                  int compression_threads = 1);
  ~AlignmentWriter();
  AlignmentWriter(const AlignmentWriter&) = delete;
  AlignmentWriter& operator=(const AlignmentWriter&) = delete;

  /// Copies the record; a tag of the same name is replaced, whatever its type was.
  void write(const AlignmentRecord& record, std::span<const LocalTag> tags);
  /// Nothing may be written after it.
  void commit();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
