// Sums and maxima over the tokens of each sequence. A sequence is cut into pieces of 4,096 tokens counted from its own
// start; pieces are reduced apart and joined in order, so that a chromosome keeps every multiprocessor busy and a
// sequence's bits do not depend on what else is in the pack.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/context.hpp"
#include "cuda/kernels/packs.cuh"
#include "cuda/kernels/sequences.cuh"

namespace strandline::cuda {

inline constexpr std::int64_t kPieceTokens = 4096;
inline constexpr int kPieceThreads = 256;
inline constexpr int kPieceWarps = kPieceThreads / kWarp;
inline constexpr int kPieceChannels = kWarp * kPack;

/// Tokens [first, last) of one sequence.
struct Piece {
  std::int64_t sequence, length;
  std::int64_t first, last;
  std::int64_t slot;  // of its partial result, where the sequence has more than one piece

  __device__ __forceinline__ bool is_whole() const { return length <= kPieceTokens; }
};

/// Slots of a long sequence's partial results start here. With h = 2,048 a sequence [b, e) of more than 2h tokens takes
/// ceil((e - b) / 2h) slots from b / h on, which end at or before e / h, where those of a later one start.
__host__ __device__ __forceinline__ std::int64_t first_slot(std::int64_t sequence_begin) {
  return sequence_begin / (kPieceTokens / 2);
}

/// Number `index` of the pack's pieces. Those of sequence [b, e) number s start at b / 4,096 + s; there are at most
/// ceil((e - b) / 4,096) <= e / 4,096 + 1 - b / 4,096 of them, so that they end before those of the next. Every empty
/// sequence has one piece. @returns false where an index stands for none. A whole warp must call.
__device__ __forceinline__ bool find_piece(const Sequences& sequences, std::int64_t index, Piece& piece) {
  const auto first_index = [&](std::int64_t s) { return sequences.begin[s] / kPieceTokens + s; };
  piece.sequence = last_not_above(first_index, sequences.count, index);
  const std::int64_t number = index - first_index(piece.sequence);
  const std::int64_t begin = sequences.begin[piece.sequence];
  const std::int64_t end = sequences.begin[piece.sequence + 1];
  piece.length = end - begin;
  piece.first = begin + number * kPieceTokens;
  piece.last = min(piece.first + kPieceTokens, end);
  piece.slot = first_slot(begin) + number;
  return number == 0 || piece.first < end;
}

/// What the host knows of a pack's pieces.
struct Pieces {
  Sequences sequences;
  std::int64_t indices = 0;  // pieces, and indices that stand for none
  std::int64_t slots = 0;    // of partial results; 0 when every sequence is one piece
};

inline Pieces pieces_of(Context& context, std::span<const std::int64_t> seq_begin) {
  Pieces pieces;
  pieces.sequences = {context.offsets().on_device(seq_begin), static_cast<std::int64_t>(seq_begin.size()) - 1};
  pieces.indices = seq_begin.back() / kPieceTokens + pieces.sequences.count;
  for (std::size_t s = 1; s < seq_begin.size() && pieces.slots == 0; ++s) {
    if (seq_begin[s] - seq_begin[s - 1] > kPieceTokens) pieces.slots = first_slot(seq_begin.back()) + 1;
  }
  return pieces;
}

/// What is reduced, and where the results of pieces go that are not whole sequences.
template <class Number>
struct PiecesOfRows {
  Pieces pieces;
  RowTensor x;
  std::int64_t channels;
  Number* partials;
};

/// Reduces rows of channels. Reduce has: Number; start(); factor(s, t, is_first), asked once per token and warp
/// (is_first for one warp and lane alone); add(number, x, t, factor); join(number, later); finish(s, length, channel,
/// number).
template <class T, class Reduce>
__global__ void __launch_bounds__(kPieceThreads)
    reduce_rows_kernel(PiecesOfRows<typename Reduce::Number> rows, Reduce reduce) {
  using Number = typename Reduce::Number;
  const RowTensor& x = rows.x;
  const std::int64_t channels = rows.channels;
  constexpr int kBatch = 4;
  __shared__ Number of_warps[kPieceWarps][kPieceChannels];
  const std::int64_t chunks = (channels + kPieceChannels - 1) / kPieceChannels;
  const std::int64_t chunk = blockIdx.x % chunks;
  Piece piece;
  if (!find_piece(rows.pieces.sequences, blockIdx.x / chunks, piece)) return;  // the whole block
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t channel = chunk * kPieceChannels + lane * kPack;
  const int count = pack_count(channels, channel);
  Number number[kPack];
#pragma unroll
  for (int i = 0; i < kPack; ++i) number[i] = reduce.start();
  for (std::int64_t t = piece.first + warp; t < piece.last; t += kBatch * kPieceWarps) {
    RawPack<T> row[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const std::int64_t token = t + b * kPieceWarps;
      row[b] = load_pack<T>(x, token * x.stride + channel, token < piece.last ? count : 0);
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const std::int64_t token = t + b * kPieceWarps;
      if (token >= piece.last) continue;
      const float factor = reduce.factor(piece.sequence, token, chunk == 0 && lane == 0);
#pragma unroll
      for (int i = 0; i < kPack; ++i) reduce.add(number[i], row[b].get(i), token, factor);
    }
  }
#pragma unroll
  for (int i = 0; i < kPack; ++i) of_warps[warp][lane * kPack + i] = number[i];
  __syncthreads();
  const std::int64_t mine = chunk * kPieceChannels + threadIdx.x;
  if (threadIdx.x >= kPieceChannels || mine >= channels) return;
  Number all = of_warps[0][threadIdx.x];
  for (int w = 1; w < kPieceWarps; ++w) reduce.join(all, of_warps[w][threadIdx.x]);
  if (piece.is_whole()) {
    reduce.finish(piece.sequence, piece.length, mine, all);
  } else {
    rows.partials[piece.slot * channels + mine] = all;
  }
}

// One block, 256 channels of one sequence of more than one piece.
template <class Reduce>
__global__ void __launch_bounds__(kPieceThreads)
    join_pieces_kernel(PiecesOfRows<typename Reduce::Number> rows, Reduce reduce) {
  const Pieces& pieces = rows.pieces;
  const std::int64_t channels = rows.channels;
  const std::int64_t chunks = (channels + kPieceThreads - 1) / kPieceThreads;
  const std::int64_t s = blockIdx.x / chunks;
  const std::int64_t channel = blockIdx.x % chunks * kPieceThreads + threadIdx.x;
  const std::int64_t begin = pieces.sequences.begin[s];
  const std::int64_t length = pieces.sequences.begin[s + 1] - begin;
  if (length <= kPieceTokens || channel >= channels) return;
  const typename Reduce::Number* first = rows.partials + first_slot(begin) * channels + channel;
  const std::int64_t count = (length + kPieceTokens - 1) / kPieceTokens;
  typename Reduce::Number all = first[0];
#pragma unroll 8
  for (std::int64_t i = 1; i < count; ++i) reduce.join(all, first[i * channels]);
  reduce.finish(s, length, channel, all);
}

/// A scratch tensor for the partial results of `channels` channels, or null.
template <class Number>
Number* take_partials(Context& context, const Pieces& pieces, std::int64_t channels) {
  if (pieces.slots == 0) return nullptr;
  const std::int64_t bytes = checked_product(checked_product(pieces.slots, channels), sizeof(Number));
  return static_cast<Number*>(context.scratch().take(DType::u8, {bytes}).data());
}

template <class Reduce>
void join_pieces(Context& context, const PiecesOfRows<typename Reduce::Number>& rows, const Reduce& reduce) {
  if (rows.pieces.slots == 0) return;
  const std::int64_t blocks = rows.pieces.sequences.count * ceil_div(rows.channels, std::int64_t{kPieceThreads});
  join_pieces_kernel<<<checked_grid(blocks, "join_pieces"), kPieceThreads, 0, context.stream()>>>(rows, reduce);
  check_launch("join_pieces");
}

/// The caller holds a Workspace::Scope.
template <class T, class Reduce>
void reduce_rows(Context& context, const Pieces& pieces, const ConstView& x_td, const Reduce& reduce) {
  const std::int64_t channels = x_td.size(1);
  if (channels == 0 || pieces.sequences.count == 0) return;
  using Number = typename Reduce::Number;
  const PiecesOfRows<Number> rows{pieces, row_tensor(x_td), channels, take_partials<Number>(context, pieces, channels)};
  const std::int64_t blocks = checked_product(pieces.indices, ceil_div(channels, std::int64_t{kPieceChannels}));
  reduce_rows_kernel<T><<<checked_grid(blocks, "reduce_rows"), kPieceThreads, 0, context.stream()>>>(rows, reduce);
  check_launch("reduce_rows");
  join_pieces(context, rows, reduce);
}

/// The same for one number per token. Reduce has Number = double, start(), value(s, t), join(), finish().
template <class Reduce>
__global__ void __launch_bounds__(kPieceThreads) reduce_tokens_kernel(Pieces pieces, Reduce reduce, double* partials) {
  __shared__ double of_threads[kPieceThreads];
  Piece piece;
  if (!find_piece(pieces.sequences, blockIdx.x, piece)) return;  // the whole block
  double number = reduce.start();
  for (std::int64_t t = piece.first + threadIdx.x; t < piece.last; t += kPieceThreads) {
    reduce.join(number, reduce.value(piece.sequence, t));
  }
  of_threads[threadIdx.x] = number;
  __syncthreads();
  for (unsigned step = kPieceThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) reduce.join(of_threads[threadIdx.x], of_threads[threadIdx.x + step]);
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  if (piece.is_whole()) {
    reduce.finish(piece.sequence, piece.length, 0, of_threads[0]);
  } else {
    partials[piece.slot] = of_threads[0];
  }
}

template <class Reduce>
void reduce_tokens(Context& context, const Pieces& pieces, const Reduce& reduce) {
  if (pieces.sequences.count == 0) return;
  auto* partials = take_partials<double>(context, pieces, 1);
  reduce_tokens_kernel<<<checked_grid(pieces.indices, "reduce_tokens"), kPieceThreads, 0, context.stream()>>>(
      pieces, reduce, partials);
  check_launch("reduce_tokens");
  join_pieces(context, {pieces, {}, 1, partials}, reduce);
}

inline constexpr int kTokensOfWarp = 32;

/// Calls work(s, t) with whole warps for every token of the pack; `s` is its sequence.
template <class Work>
__global__ void __launch_bounds__(kPieceThreads)
    each_token_kernel(Sequences sequences, std::int64_t tokens, Work work) {
  const std::int64_t warp = std::int64_t{blockIdx.x} * kPieceWarps + threadIdx.x / kWarp;
  const std::int64_t begin = warp * kTokensOfWarp;
  if (begin >= tokens) return;  // the whole warp
  const std::int64_t end = min(begin + kTokensOfWarp, tokens);
  for_each_part(sequences, sequence_of(sequences, begin), {begin, end},
                [&](std::int64_t s, std::int64_t part_begin, std::int64_t part_end) {
                  for (std::int64_t t = part_begin; t < part_end; ++t) work(s, t);
                });
}

template <class Work>
void for_each_token(Context& context, std::span<const std::int64_t> seq_begin, const Work& work, const char* name) {
  const std::int64_t tokens = seq_begin.back();
  if (tokens == 0) return;
  const Sequences sequences{context.offsets().on_device(seq_begin), static_cast<std::int64_t>(seq_begin.size()) - 1};
  const unsigned blocks = checked_grid(ceil_div(tokens, std::int64_t{kTokensOfWarp * kPieceWarps}), name);
  each_token_kernel<<<blocks, kPieceThreads, 0, context.stream()>>>(sequences, tokens, work);
  check_launch(name);
}

}  // namespace strandline::cuda
