#include "pipelines/dna/record_batcher.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "core/vocab/dna.hpp"

namespace strandline {
namespace {

std::int64_t count_known(std::span<const std::int32_t> ids) {
  return std::count_if(ids.begin(), ids.end(), [](std::int32_t id) { return id >= dna::kA && id <= dna::kT; });
}

}  // namespace

RecordBatcher::RecordBatcher(SequenceStream& stream, const RecordBatcherOptions& options, const Emit& emit)
    : stream_(stream), options_(options), emit_(emit), cutter_(options.windows), packer_(options.pack) {}

void RecordBatcher::run() {
  SequencePiece piece;
  bool wanted = true;
  while (stream_.next(piece)) {
    if (piece.offset == 0 && !options_.shard.is_whole()) {
      const std::int64_t shard = shard_of(bases_, options_.total_bases, options_.shard.count);
      if (shard > options_.shard.index) break;
      wanted = shard == options_.shard.index;
    }
    bases_ += static_cast<std::int64_t>(piece.bases.size());
    if (!wanted) continue;
    if (piece.offset == 0) begin_record(piece);
    take_piece(piece);
    if (piece.last) end_record();
  }
  flush();
}

void RecordBatcher::begin_record(const SequencePiece& piece) {
  record_ = DnaRecord();
  record_.name = piece.name;
  record_.alignment = piece.alignment;
  cutter_.restart();
  whole_.clear();
  in_pieces_ = false;
  skip_ = false;
  too_long_ = false;
}

void RecordBatcher::take_piece(SequencePiece& piece) {
  ids_.resize(piece.bases.size());
  dna::tokenize(piece.bases, ids_.data());
  record_.counts.length += static_cast<std::int64_t>(ids_.size());
  record_.counts.known += count_known(ids_);
  if (options_.keep_text) {
    record_.bases.append(piece.bases);
    record_.qualities.append(piece.qualities);
  }
  // A record in one piece is judged before it costs anything.
  if (piece.last && piece.offset == 0) skip_ = !reason_to_skip(options_.filter, record_.counts).empty();
  if (skip_ || too_long_) return;
  if (options_.windows.window == 0) {
    take_whole(piece.last);
  } else {
    take_windows(piece.last);
  }
}

void RecordBatcher::take_windows(bool last) {
  cutter_.push(ids_);
  if (last) cutter_.end_record();
  for (std::span<const std::int32_t> window = cutter_.window(); !window.empty(); window = cutter_.window()) {
    add_sequence(window);
    cutter_.advance();
  }
}

void RecordBatcher::take_whole(bool last) {
  if (in_pieces_) {
    send_piece(std::move(ids_));
    return;
  }
  whole_.insert(whole_.end(), ids_.begin(), ids_.end());
  if (options_.pieces && std::ssize(whole_) > options_.pack.tokens) {
    in_pieces_ = true;
    flush();
    send_piece(std::move(whole_));
  } else if (std::ssize(whole_) > options_.max_sequence) {
    // Reads on, to say how long it is, but holds nothing.
    too_long_ = true;
    whole_.clear();
  } else if (last) {
    add_sequence(whole_);
  }
}

void RecordBatcher::add_sequence(std::span<const std::int32_t> ids) {
  const std::int64_t known = count_known(ids);
  if (known == 0) return;
  if (!packer_.fits(std::ssize(ids))) flush();
  packer_.add_sequence(ids, known);
}

void RecordBatcher::send_piece(std::vector<std::int32_t> ids) {
  EncodeWork work;
  work.kind = EncodeWork::Kind::piece;
  work.piece = std::move(ids);
  emit_(std::move(work));
}

void RecordBatcher::end_record() {
  if (too_long_) options_.refuse(record_.name, record_.counts.length);
  record_.note = reason_to_skip(options_.filter, record_.counts);
  if (!in_pieces_) {
    packer_.end_record(std::move(record_));
    if (packer_.is_full()) flush();
    return;
  }
  EncodeWork work;
  work.kind = EncodeWork::Kind::last_piece;
  work.batch = packer_.take();
  work.batch.weights.push_back(std::max<std::int64_t>(record_.counts.known, 1));
  work.batch.ends.push_back({1, std::move(record_)});
  emit_(std::move(work));
}

void RecordBatcher::flush() {
  if (packer_.empty()) return;
  EncodeWork work;
  work.batch = packer_.take();
  emit_(std::move(work));
}

}  // namespace strandline
