#include "io/dna/alignment_writer.hpp"

#include <htslib/bgzf.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "core/base/error.hpp"
#include "io/bytes/local_path.hpp"
#include "io/bytes/output_file.hpp"
#include "io/dna/alignment_record.hpp"

namespace strandline {
namespace {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return text;
}

void check_tag(const LocalTag& tag) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool good_name = tag.name.size() == 2 && is_lower(tag.name[0]) &&
                         (is_lower(tag.name[1]) || std::isdigit(static_cast<unsigned char>(tag.name[1])));
  if (!good_name)
    throw ContractError("AlignmentWriter: tag '" + tag.name +
                        "', expected [a-z][a-z0-9], which SAM keeps for local use");
  const auto* text = std::get_if<std::string>(&tag.value);
  if (text != nullptr &&
      !std::all_of(text->begin(), text->end(), [](unsigned char c) { return c >= ' ' && c != 0x7f; })) {
    throw ContractError("AlignmentWriter: the text of tag '" + tag.name +
                        "' has control characters, which SAM has no way to write");
  }
}

}  // namespace

class AlignmentWriter::Impl {
 public:
  Impl(const std::string& path, const AlignmentHeader& header, const ProgramLine& program, int compression_threads)
      : output_(path), header_(sam_hdr_dup(&header.get())) {
    if (!header_) throw std::bad_alloc();
    const std::string command = one_line(program.command);
    if (sam_hdr_add_pg(header_.get(), program.name.c_str(), "VN", program.version.c_str(), "CL", command.c_str(),
                       nullptr) != 0) {
      throw ContractError("AlignmentWriter: the @PG line of '" + program.name + "' cannot be added to the header");
    }
    errno = 0;
    file_.reset(hts_open(file_name().c_str(), "wb"));
    if (!file_) throw IoError(path, "create", errno);
    if (compression_threads > 1) hts_set_threads(file_.get(), compression_threads);
    if (sam_hdr_write(file_.get(), header_.get()) != 0) fail();
  }

  void write(const AlignmentRecord& record, std::span<const LocalTag> tags) {
    errno = 0;
    if (bam_copy1(scratch_.get(), &record.get()) == nullptr) throw std::bad_alloc();
    for (const LocalTag& tag : tags) set(tag);
    if (sam_write1(file_.get(), header_.get(), scratch_.get()) < 0) fail();
  }

  void commit() {
    errno = 0;
    if (hts_close(file_.release()) != 0) fail();
    if (output_.path() != "-") check_end_marker();
    output_.commit();
  }

 private:
  std::string file_name() const { return output_.path() == "-" ? "-" : output_.temporary_path(); }

  [[noreturn]] void fail() const { throw IoError(output_.path(), "write", errno != 0 ? errno : EIO); }

  void set(const LocalTag& tag) {
    check_tag(tag);
    const char name[2] = {tag.name[0], tag.name[1]};
    std::uint8_t* existing = bam_aux_get(scratch_.get(), name);
    int status = existing == nullptr ? 0 : bam_aux_del(scratch_.get(), existing);
    if (const auto* text = std::get_if<std::string>(&tag.value)) {
      if (status == 0) status = bam_aux_update_str(scratch_.get(), name, static_cast<int>(text->size()), text->c_str());
    } else if (status == 0) {
      status = bam_aux_update_float(scratch_.get(), name, std::get<float>(tag.value));
    }
    if (status != 0)
      throw DataError({output_.path(), bam_get_qname(scratch_.get())},
                      "the tag '" + tag.name + "' does not fit into the record");
  }

  // What has its final name must be whole.
  void check_end_marker() const {
    const std::unique_ptr<BGZF, DestroyWith<bgzf_close>> written(bgzf_open(output_.temporary_path().c_str(), "r"));
    if (!written || bgzf_check_EOF(written.get()) != 1) fail();
  }

  OutputFile output_;
  HeaderPtr header_;
  HtsFilePtr file_;
  RecordPtr scratch_ = make_record();
};

AlignmentWriter::AlignmentWriter(const std::string& path, const AlignmentHeader& header, const ProgramLine& program,
                                 int compression_threads) {
  if (path != "-") require_local_path(path);
  impl_ = std::make_unique<Impl>(path, header, program, compression_threads);
}
AlignmentWriter::~AlignmentWriter() = default;

void AlignmentWriter::write(const AlignmentRecord& record, std::span<const LocalTag> tags) {
  impl_->write(record, tags);
}
void AlignmentWriter::commit() { impl_->commit(); }

}  // namespace strandline
