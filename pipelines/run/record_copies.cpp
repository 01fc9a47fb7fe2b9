#include "pipelines/run/record_copies.hpp"

#include <algorithm>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "pipelines/run/predict.hpp"

namespace strandline {
namespace {

constexpr std::string_view kPlaceholder = "{label}";
constexpr const char* kNoLabel = "NA";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

SequenceTextFormat format_of(const std::string& path) {
  for (const std::string_view end : {".fq", ".fastq", ".fq.gz", ".fastq.gz"}) {
    if (path.ends_with(end)) return SequenceTextFormat::kFastq;
  }
  return SequenceTextFormat::kFasta;
}

// A class name is text; a file name has no room for a folder separator.
std::string path_for(const std::string& pattern, std::string label) {
  std::replace(label.begin(), label.end(), '/', '_');
  std::string path = pattern;
  return path.replace(path.find(kPlaceholder), kPlaceholder.size(), label);
}

std::string text_of(const SpooledText& spooled) {
  std::string text;
  spooled.read([&](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace

RecordCopies::RecordCopies(const PredictOptions& options, const std::vector<std::string>& class_names,
                           const SequenceStream& stream)
    : class_names_(class_names) {
  if (!options.output_bam.empty()) {
    const auto header = stream.alignment_header();
    if (!header) {
      throw DataError({.file = options.encode.input}, "is " + stream.format() + ", without alignment records to copy",
                      "--out-bam needs SAM, BAM or CRAM; --classified-out works for any input");
    }
    const ProgramLine program{"strandline", kVersion, joined(options.command_line)};
    alignments_ = std::make_unique<AlignmentWriter>(options.output_bam, *header, program);
  }
  if (options.classified_out.empty()) return;
  if (options.classified_out.find(kPlaceholder) == std::string::npos) {
    throw ContractError("'" + options.classified_out + "' names one file; expected {label} in it, once for each class");
  }
  format_ = format_of(options.classified_out);
  for (const std::string& name : class_names) {
    sequences_.push_back(std::make_unique<SequenceWriter>(path_for(options.classified_out, name), format_));
  }
}

void RecordCopies::write(const DnaRecord& record, const RecordLabel& label) {
  if (alignments_) write_alignment(record, label);
  if (label.label >= 0 && !sequences_.empty()) {
    write_sequence(record, *sequences_[static_cast<std::size_t>(label.label)]);
  }
}

void RecordCopies::write_alignment(const DnaRecord& record, const RecordLabel& label) {
  std::vector<LocalTag> tags;
  if (label.label >= 0) {
    tags.push_back({"sl", class_names_[static_cast<std::size_t>(label.label)]});
    tags.push_back({"sp", static_cast<float>(label.score)});
  } else {
    tags.push_back({"sl", kNoLabel});
    tags.push_back({"sn", record.note});
  }
  alignments_->write(*record.alignment, tags);
}

void RecordCopies::write_sequence(const DnaRecord& record, SequenceWriter& writer) const {
  SequencePiece piece;
  piece.name = record.name;
  if (format_ == SequenceTextFormat::kFastq) {
    piece.bases = text_of(record.bases);
    piece.qualities = text_of(record.qualities);
    writer.write(piece);
    return;
  }
  record.bases.read([&](std::string_view bases) {
    piece.bases = bases;
    piece.last = piece.offset + std::ssize(bases) == record.bases.size();
    writer.write(piece);
    piece.offset += std::ssize(bases);
  });
}

void RecordCopies::commit() {
  if (alignments_) alignments_->commit();
  for (const auto& writer : sequences_) writer->commit();
}

}  // namespace strandline
