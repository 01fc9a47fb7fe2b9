// Rows of channels shared out over threads, kept in registers between the sums over a row and the writing of it.
// Which thread sums what depends on the row's width alone: not on element types, alignment, or the number of rows.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.hpp"
#include "cuda/base/reduce.cuh"
#include "cuda/kernels/packs.cuh"

namespace strandline::cuda {

/// kRowThreads threads (a multiple of 32) hold one row, kPacks packs each; a block holds kRows rows.
template <int kRowThreadsOfRow, int kPacksOfThread>
struct RowPlace {
  static constexpr int kRowThreads = kRowThreadsOfRow;
  static constexpr int kPacks = kPacksOfThread;
  static constexpr int kBlock = kRowThreads > 256 ? kRowThreads : 256;
  static constexpr int kRows = kBlock / kRowThreads;
  static constexpr int kWidth = kRowThreads * kPacks * kPack;
  static constexpr int kWarps = kBlock / kWarp;
  static constexpr int kRowWarps = kRowThreads / kWarp;

  /// For __launch_bounds__: `blocks` of 256 threads at once on a multiprocessor, which bounds the registers.
  static constexpr int at_once(int blocks) { return kBlock > 256 ? 1 : blocks; }

  __device__ __forceinline__ static int slot() { return static_cast<int>(threadIdx.x) / kRowThreads; }
  __device__ __forceinline__ static int column(int pack) {
    return (pack * kRowThreads + static_cast<int>(threadIdx.x) % kRowThreads) * kPack;
  }
};

inline constexpr std::int64_t kWidestRow = 32768;

/// Calls body(RowPlace<...>{}) for rows of this width, at most kMostPacks (2 or 4) packs a thread: kernels that hold
/// much per element take 2. Wide rows (over 2,048) go to wide_body: they are rare, and get one kernel for all types.
/// @throws ContractError for rows wider than a block holds.
template <int kMostPacks, class Body, class WideBody>
void with_row_place(std::int64_t width, const char* op, const Body& body, const WideBody& wide_body) {
  constexpr int kShare = 4 / kMostPacks;
  if (width <= 128) return body(RowPlace<32, 1>{});
  if (width <= 256) return body(RowPlace<32, 2>{});
  if (width <= 512) return body(RowPlace<32 * kShare, kMostPacks>{});
  if (width <= 1024) return body(RowPlace<64 * kShare, kMostPacks>{});
  if (width <= 2048) return body(RowPlace<128 * kShare, kMostPacks>{});
  if (width <= kWidestRow) return wide_body(RowPlace<1024, 8>{});
  throw ContractError(std::string(op) + ": rows of " + std::to_string(width) + " channels, at most " +
                      std::to_string(kWidestRow) + " on a GPU. Use more groups, or --device cpu");
}

/// Calls launch(element, place) for tensors of one type. `width` is that of a group of channels: its first channel must
/// be aligned as the row is.
template <int kMostPacks, class Launch>
void with_row_kernel(std::int64_t width, const char* op, std::initializer_list<ConstView> tensors,
                     const Launch& launch) {
  with_row_place<kMostPacks>(
      width, op, [&](auto place) { with_pack_type(width, tensors, [&](auto element) { launch(element, place); }); },
      [&](auto place) { launch(AnyElement{}, place); });
}

/// Sums over the threads of each row, in one fixed order; every thread of the row gets them. All threads of the block
/// must call. `scratch` holds kCount * kWarps numbers.
template <class Place, int kCount>
__device__ __forceinline__ void row_sums(float (&values)[kCount], float* scratch) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) values[i] = warp_sum(values[i]);
  if constexpr (Place::kRowWarps > 1) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    if (threadIdx.x % kWarp == 0) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) scratch[i * Place::kWarps + warp] = values[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float* of_row = scratch + i * Place::kWarps + Place::slot() * Place::kRowWarps;
      values[i] = of_row[0];
      for (int w = 1; w < Place::kRowWarps; ++w) values[i] += of_row[w];
    }
    __syncthreads();  // before the next sum overwrites the scratch
  }
}

/// The weights of a thread's channels; zeros beyond the width.
template <class Place>
__device__ __forceinline__ void load_weights(const float* weight, int width, float (&held)[Place::kPacks][kPack]) {
#pragma unroll
  for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const int column = Place::column(p) + i;
      held[p][i] = column < width ? weight[column] : 0.0F;
    }
  }
}

/// Writes the sum over the block's rows of each channel to partial[0, width). All threads of the block must call, once.
template <class Place>
__device__ __forceinline__ void store_channel_sums(const float (&sums)[Place::kPacks][kPack], int width,
                                                   float* partial) {
  if constexpr (Place::kRows == 1) {
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        if (Place::column(p) + i < width) partial[Place::column(p) + i] = sums[p][i];
      }
    }
  } else {
    __shared__ float of_rows[Place::kRows][Place::kWidth];
    __syncthreads();  // an earlier call may still be reading
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) of_rows[Place::slot()][Place::column(p) + i] = sums[p][i];
    }
    __syncthreads();
    for (int column = static_cast<int>(threadIdx.x); column < width; column += Place::kBlock) {
      float sum = of_rows[0][column];
      for (int row = 1; row < Place::kRows; ++row) sum += of_rows[row][column];
      partial[column] = sum;
    }
  }
}

}  // namespace strandline::cuda
