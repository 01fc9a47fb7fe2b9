// FASTQ, as bytes stream past.
#pragma once

#include <memory>

#include "io/bytes/byte_source.hpp"
#include "io/dna/sequence_letters.hpp"
#include "io/dna/sequence_stream.hpp"
#include "io/dna/text_cursor.hpp"

namespace strandline {

/// The rules:
/// '@name ...', lines of bases, '+' (alone, or with the same name), lines of qualities; every record is one piece.
/// Sequence and qualities may be wrapped: bases end at the first line that starts with '+', qualities when there are as
/// many as bases, so '@' and
/// '+' may start a line of qualities. Where the bases stand on one line, the qualities must do so too: a short line of
/// qualities is then found at once instead of swallowing the next header. Bases are IUPAC codes in either case, and '.'
/// for a base that was not called. Qualities are '!' to '~'. CR LF, blank lines between records and a missing last line
/// feed are fine. Names may repeat: mates share theirs. A record may hold up to 2^30 bases. Memory: the longest record,
/// and a buffer.
class FastqScanner final : public SequenceStream {
 public:
  explicit FastqScanner(std::unique_ptr<ByteSource> source);

  bool next(SequencePiece& piece) override;
  std::string format() const override { return "fastq"; }
  ReadCounts counts() const override;

 private:
  bool read_header(SequencePiece& piece);
  int read_bases(SequencePiece& piece);
  void read_qualities(SequencePiece& piece, int base_lines);
  void append_bases(std::string_view line, const FileLocation& start, SequencePiece& piece) const;
  void append_qualities(std::string_view line, const FileLocation& start, SequencePiece& piece) const;
  void check_separator(std::string_view line, const FileLocation& start, const SequencePiece& piece) const;

  TextCursor cursor_;
  LetterTable letters_ = make_letter_table(".");
  FileLocation record_start_;
  std::int64_t records_ = 0;
};

}  // namespace strandline
