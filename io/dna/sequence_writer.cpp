#include "io/dna/sequence_writer.hpp"

#include <htslib/bgzf.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/base/error.hpp"
#include "io/bytes/local_path.hpp"
#include "io/bytes/output_file.hpp"
#include "io/dna/alignment_record.hpp"

namespace strandline {
namespace {

constexpr std::size_t kLineBases = 80;

}  // namespace

class SequenceWriter::Impl {
 public:
  Impl(const std::string& path, SequenceTextFormat format) : output_(path), format_(format) {
    if (!path.ends_with(".gz")) return;
    errno = 0;
    compressed_.reset(bgzf_open(output_.temporary_path().c_str(), "w"));
    if (!compressed_) throw IoError(path, "create", errno);
  }

  void write(const SequencePiece& piece) {
    if (piece.offset != next_offset_) {
      throw ContractError("SequenceWriter: a piece of '" + piece.name + "' at offset " + std::to_string(piece.offset) +
                          ", expected " + std::to_string(next_offset_));
    }
    text_.clear();
    if (format_ == SequenceTextFormat::kFasta) {
      format_fasta(piece);
    } else {
      format_fastq(piece);
    }
    next_offset_ = piece.last ? 0 : piece.offset + static_cast<std::int64_t>(piece.bases.size());
    put(text_);
  }

  void commit() {
    if (compressed_) {
      errno = 0;
      if (bgzf_close(compressed_.release()) != 0) fail();
    }
    output_.commit();
  }

 private:
  void format_fasta(const SequencePiece& piece) {
    if (piece.offset == 0) text_.append(1, '>').append(piece.name).append(1, '\n');
    std::string_view rest = piece.bases;
    std::size_t column = static_cast<std::size_t>(piece.offset) % kLineBases;
    while (!rest.empty()) {
      const std::size_t count = std::min(rest.size(), kLineBases - column);
      text_.append(rest.substr(0, count));
      rest.remove_prefix(count);
      column = (column + count) % kLineBases;
      if (column == 0) text_.push_back('\n');
    }
    if (piece.last && column != 0) text_.push_back('\n');
  }

  void format_fastq(const SequencePiece& piece) {
    const bool whole = piece.offset == 0 && piece.last;
    if (!whole) throw ContractError("SequenceWriter: FASTQ takes whole records, '" + piece.name + "' comes in pieces");
    text_.append(1, '@').append(piece.name).append(1, '\n').append(piece.bases).append("\n+\n");
    if (piece.qualities.empty()) {
      text_.append(piece.bases.size(), '!');
    } else {
      text_.append(piece.qualities);
    }
    text_.push_back('\n');
  }

  void put(std::string_view text) {
    if (!compressed_) {
      output_.write(text);
      return;
    }
    errno = 0;
    if (bgzf_write(compressed_.get(), text.data(), text.size()) < 0) fail();
  }

  [[noreturn]] void fail() const { throw IoError(output_.path(), "write", errno != 0 ? errno : EIO); }

  OutputFile output_;
  SequenceTextFormat format_;
  std::unique_ptr<BGZF, DestroyWith<bgzf_close>> compressed_;
  std::string text_;
  std::int64_t next_offset_ = 0;
};

SequenceWriter::SequenceWriter(const std::string& path, SequenceTextFormat format) {
  if (path != "-") require_local_path(path);
  impl_ = std::make_unique<Impl>(path, format);
}
SequenceWriter::~SequenceWriter() = default;

void SequenceWriter::write(const SequencePiece& piece) { impl_->write(piece); }
void SequenceWriter::commit() { impl_->commit(); }

}  // namespace strandline
