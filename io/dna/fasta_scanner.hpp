// FASTA, as bytes stream past.
#pragma once

#include <memory>

#include "io/bytes/byte_source.hpp"
#include "io/dna/name_set.hpp"
#include "io/dna/sequence_letters.hpp"
#include "io/dna/sequence_stream.hpp"
#include "io/dna/text_cursor.hpp"

namespace strandline {

/// The rules:
/// a record starts with '>' at a line start; its name is what follows up to the first white space, and must not be
/// empty nor repeat (exact for the first few million names, see NameSet); the rest of the line is ignored. Bases are
/// IUPAC nucleotide codes in either case, kept as they are. Line feeds, CR LF, blanks, tabs and blank lines between
/// them are skipped, and so are lines that start with ';' (comments). Gaps, stops, digits, control bytes and other
/// letters are errors. The last line needs no line feed. A record without bases is one piece without bases. Lines may
/// have any length. Memory: one piece, a 64 KiB buffer and the names. Cost: one pass over the bytes.
class FastaScanner final : public SequenceStream {
 public:
  FastaScanner(std::unique_ptr<ByteSource> source, std::int64_t piece_bases);

  bool next(SequencePiece& piece) override;
  std::string format() const override { return "fasta"; }
  ReadCounts counts() const override;

 private:
  bool find_record();
  void read_header();
  bool more_bases();
  void append_run(std::string& bases);
  [[noreturn]] void refuse_byte(char byte) const;

  TextCursor cursor_;
  std::size_t piece_bases_;
  LetterTable letters_ = make_letter_table();
  NameSet names_;
  std::string name_;
  std::int64_t records_ = 0;  // headers seen
  std::int64_t offset_ = 0;   // bases of this record given out
  bool in_record_ = false;
  bool at_line_start_ = true;
};

}  // namespace strandline
