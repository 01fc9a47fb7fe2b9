// FASTA and FASTQ out, whole or absent.
#pragma once

#include <memory>
#include <string>

#include "io/dna/sequence_stream.hpp"

namespace strandline {

enum class SequenceTextFormat { kFasta, kFastq };

/// Writes pieces as they come: the pieces of a record one after the other, no other record between them.
/// FASTA: lines of 80 bases, the same for any split into pieces. FASTQ: whole records only; one without qualities gets
/// '!' (not known) for each base. A path that ends in ".gz" is written as BGZF, which gzip reads too. "-" is standard
/// output, uncompressed. One thread at a time. @throws IoError; ContractError for a piece out of order or in part
/// (FASTQ).
class SequenceWriter {
 public:
  SequenceWriter(const std::string& path, SequenceTextFormat format);
  ~SequenceWriter();
  SequenceWriter(const SequenceWriter&) = delete;
  SequenceWriter& operator=(const SequenceWriter&) = delete;

  void write(const SequencePiece& piece);
  /// Nothing may be written after it. Until then nothing has the final name.
  void commit();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
