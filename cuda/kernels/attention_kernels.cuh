// Attention, forward and backward: a block owns 64 queries (or keys) of one head of one sequence and 64 columns of the
// result, and runs over the other side in tiles. Wider heads take several blocks, each with the whole scores: no width
// is refused, and 64 or less cost nothing extra. What a block does depends on its sequence alone.
#pragma once

#include <cstdint>

#include "cuda/kernels/attention_tiles.cuh"

namespace strandline::cuda {

/// Numbers per query and head, fp32.
struct PerQuery {
  const float* data = nullptr;
  std::int64_t stride = 0;

  __device__ __forceinline__ float at(std::int64_t token, int head) const { return data[token * stride + head]; }
};

struct AttentionKernelArgs {
  Heads q;
  Heads k;
  Heads v;
  HeadsOut y;
  float* log_sum;  ///< absent: not wanted
  std::int64_t log_sum_stride;
  Sides sides;  ///< own: queries
  int heads;
  int width;
  float scale;
};

struct AttentionBackwardKernelArgs {
  Heads q;
  Heads k;
  Heads v;
  Heads dy;
  PerQuery log_sum;
  PerQuery drop;  ///< dy . y
  HeadsOut dq;
  HeadsOut dk;
  HeadsOut dv;
  Sides sides;  ///< own: queries for dq, keys for dk and dv
  int heads;
  int width;
  float scale;
};

/// Head and columns of a block: blockIdx.y runs over the heads first.
struct Place {
  int head;
  int2 columns;  ///< first column, width
};

__device__ __forceinline__ Place place_of_block(int heads, int width) {
  const int index = static_cast<int>(blockIdx.y);
  return {index % heads, make_int2(index / heads * kTile, width)};
}

__device__ __forceinline__ int rows_left(std::int64_t begin, std::int64_t end) {
  return static_cast<int>(end - begin < kTile ? end - begin : kTile);
}

/// Over the 16 threads of a row; all get the same bits. All lanes of the warp must call.
__device__ __forceinline__ float max_of_row(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, step));
  return value;
}
__device__ __forceinline__ float sum_of_row(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
  return value;
}

/// Softmax of rows that are seen a tile at a time, and the sums that it weighs.
struct RunningSoftmax {
  float top[kEach];
  float total[kEach];
  Patch sums;
};

/// Products become weights relative to the largest score so far; sums of earlier tiles are shrunk to match.
__device__ __forceinline__ void soften(Patch& products, int keys, float scale, RunningSoftmax& softmax) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  for (int i = 0; i < kEach; ++i) {
    float largest = -INFINITY;
    for (int j = 0; j < kEach; ++j) {
      products[i][j] *= scale;
      if (x + kLanes * j < keys) largest = fmaxf(largest, products[i][j]);
    }
    const float top = fmaxf(softmax.top[i], max_of_row(largest));
    const float shrink = top == softmax.top[i] ? 1.0F : expf(softmax.top[i] - top);
    float total = 0.0F;
    for (int j = 0; j < kEach; ++j) {
      products[i][j] = x + kLanes * j < keys ? expf(products[i][j] - top) : 0.0F;
      total += products[i][j];
    }
    softmax.total[i] = fmaf(softmax.total[i], shrink, sum_of_row(total));
    softmax.top[i] = top;
    for (int c = 0; c < kEach; ++c) softmax.sums[i][c] *= shrink;
  }
}

__device__ __forceinline__ void store_attention(const AttentionKernelArgs& args, const Share& share, const Place& place,
                                                RunningSoftmax& softmax) {
  const bool is_empty = share.other_begin == share.other_end;
  for (int i = 0; i < kEach; ++i) {
    const int row = static_cast<int>(threadIdx.x) / kLanes * kEach + i;
    for (int c = 0; c < kEach; ++c) softmax.sums[i][c] = is_empty ? 0.0F : softmax.sums[i][c] / softmax.total[i];
    if (args.log_sum == nullptr || place.columns.x > 0 || threadIdx.x % kLanes != 0 || row >= share.rows) continue;
    args.log_sum[(share.begin + row) * args.log_sum_stride + place.head] =
        is_empty ? -INFINITY : softmax.top[i] + logf(softmax.total[i]);
  }
  store_tile(softmax.sums, rows_at(args.y, share.begin, place.head, share.rows), place.columns);
}

__global__ __launch_bounds__(kTileThreads, 2) void attention_kernel(const AttentionKernelArgs args) {
  extern __shared__ float4 tiles[];
  float* const q_tile = reinterpret_cast<float*>(tiles);
  float* const others_tile = q_tile + kTileFloats;
  float* const weights_tile = others_tile + kTileFloats;
  Share share;
  if (!find_share(args.sides, blockIdx.x, share)) return;
  const Place place = place_of_block(args.heads, args.width);
  OwnRows q{rows_at(args.q, share.begin, place.head, share.rows), q_tile};
  RunningSoftmax softmax{};
  for (int i = 0; i < kEach; ++i) softmax.top[i] = -INFINITY;
  for (std::int64_t u = share.other_begin; u < share.other_end; u += kTile) {
    const int keys = rows_left(u, share.other_end);
    Patch weights{};
    add_products(q, {rows_at(args.k, u, place.head, keys), others_tile}, args.width, weights);
    soften(weights, keys, args.scale, softmax);
    share_weights(weights, {rows_at(args.v, u, place.head, keys), others_tile}, place.columns, weights_tile);
    add_weighted(weights_tile, others_tile, keys, softmax.sums);
  }
  store_attention(args, share, place, softmax);
}

/// drop[t, h] = dy[t, h] . y[t, h]: a warp each.
struct DropArgs {
  Heads dy;
  Heads y;
  float* drop_th;
  std::int64_t tokens;
  int heads;
  int width;
};

__device__ __forceinline__ float element_of(const Heads& of, std::int64_t offset) {
  return of.is_bf16 ? to_float(static_cast<const bf16*>(of.data)[offset]) : static_cast<const float*>(of.data)[offset];
}

__global__ __launch_bounds__(kTileThreads) void attention_drop_kernel(const DropArgs args) {
  const std::int64_t index = blockIdx.x * std::int64_t{kTileThreads / kWarp} + threadIdx.x / kWarp;
  if (index >= args.tokens * args.heads) return;  // whole warps
  const std::int64_t token = index / args.heads;
  const auto head = static_cast<int>(index % args.heads);
  const std::int64_t dy = token * args.dy.token_stride + head * args.dy.head_stride;
  const std::int64_t y = token * args.y.token_stride + head * args.y.head_stride;
  float sum = 0.0F;
  for (int p = static_cast<int>(threadIdx.x) % kWarp; p < args.width; p += kWarp) {
    sum = fmaf(element_of(args.dy, dy + p), element_of(args.y, y + p), sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) args.drop_th[index] = sum;
}

/// Of the queries of a thread's rows.
struct OwnQueries {
  float scale;
  float log_sum[kEach];
  float drop[kEach];
};

/// Products q . k and dy . v become ds, zero where there is no key.
__device__ __forceinline__ void slopes_of_queries(const OwnQueries& own, int keys, Patch& products, const Patch& da) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      const float a = expf(fmaf(own.scale, products[i][j], -own.log_sum[i]));
      products[i][j] = x + kLanes * j < keys ? own.scale * a * (da[i][j] - own.drop[i]) : 0.0F;
    }
  }
}

__global__ __launch_bounds__(kTileThreads, 2) void attention_dq_kernel(const AttentionBackwardKernelArgs args) {
  extern __shared__ float4 tiles[];
  float* const q_tile = reinterpret_cast<float*>(tiles);
  float* const dy_tile = q_tile + kTileFloats;
  float* const others_tile = dy_tile + kTileFloats;
  float* const weights_tile = others_tile + kTileFloats;
  Share share;
  if (!find_share(args.sides, blockIdx.x, share)) return;
  const Place place = place_of_block(args.heads, args.width);
  OwnRows q{rows_at(args.q, share.begin, place.head, share.rows), q_tile};
  OwnRows dy{rows_at(args.dy, share.begin, place.head, share.rows), dy_tile};
  OwnQueries own{.scale = args.scale};
  for (int i = 0; i < kEach; ++i) {
    const int row = static_cast<int>(threadIdx.x) / kLanes * kEach + i;
    own.log_sum[i] = row < share.rows ? args.log_sum.at(share.begin + row, place.head) : 0.0F;
    own.drop[i] = row < share.rows ? args.drop.at(share.begin + row, place.head) : 0.0F;
  }
  Patch sums{};
  for (std::int64_t u = share.other_begin; u < share.other_end; u += kTile) {
    const int keys = rows_left(u, share.other_end);
    const OtherRows k{rows_at(args.k, u, place.head, keys), others_tile};
    Patch ds{};
    Patch da{};
    add_products(q, k, args.width, ds);
    add_products(dy, {rows_at(args.v, u, place.head, keys), others_tile}, args.width, da);
    slopes_of_queries(own, keys, ds, da);
    share_weights(ds, k, place.columns, weights_tile);
    add_weighted(weights_tile, others_tile, keys, sums);
  }
  store_tile(sums, rows_at(args.dq, share.begin, place.head, share.rows), place.columns);
}

/// Up to 64 queries that a block of keys meets.
struct OtherQueries {
  std::int64_t first;
  int count;
  int head;
};

/// Products k . q become the weights a, zero where there is no query.
__device__ __forceinline__ void weights_of_keys(const AttentionBackwardKernelArgs& args, const OtherQueries& queries,
                                                Patch& products) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  for (int j = 0; j < kEach; ++j) {
    const int query = x + kLanes * j;
    const bool exists = query < queries.count;
    const float log_sum = exists ? args.log_sum.at(queries.first + query, queries.head) : 0.0F;
    for (int i = 0; i < kEach; ++i) {
      products[i][j] = exists ? expf(fmaf(args.scale, products[i][j], -log_sum)) : 0.0F;
    }
  }
}

/// Weights a become ds.
__device__ __forceinline__ void slopes_of_keys(const AttentionBackwardKernelArgs& args, const OtherQueries& queries,
                                               Patch& weights, const Patch& da) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  for (int j = 0; j < kEach; ++j) {
    const int query = x + kLanes * j;
    const float drop = query < queries.count ? args.drop.at(queries.first + query, queries.head) : 0.0F;
    for (int i = 0; i < kEach; ++i) weights[i][j] = args.scale * weights[i][j] * (da[i][j] - drop);
  }
}

__global__ __launch_bounds__(kTileThreads, 2) void attention_dkv_kernel(const AttentionBackwardKernelArgs args) {
  extern __shared__ float4 tiles[];
  float* const k_tile = reinterpret_cast<float*>(tiles);
  float* const v_tile = k_tile + kTileFloats;
  float* const others_tile = v_tile + kTileFloats;
  float* const weights_tile = others_tile + kTileFloats;
  Share share;
  if (!find_share(args.sides, blockIdx.x, share)) return;
  const Place place = place_of_block(args.heads, args.width);
  OwnRows k{rows_at(args.k, share.begin, place.head, share.rows), k_tile};
  OwnRows v{rows_at(args.v, share.begin, place.head, share.rows), v_tile};
  Patch dk{};
  Patch dv{};
  for (std::int64_t t = share.other_begin; t < share.other_end; t += kTile) {
    const OtherQueries queries{t, rows_left(t, share.other_end), place.head};
    const OtherRows q{rows_at(args.q, t, place.head, queries.count), others_tile};
    const OtherRows dy{rows_at(args.dy, t, place.head, queries.count), others_tile};
    Patch weights{};
    add_products(k, q, args.width, weights);
    weights_of_keys(args, queries, weights);
    if (args.dv.data != nullptr) {
      share_weights(weights, dy, place.columns, weights_tile);
      add_weighted(weights_tile, others_tile, queries.count, dv);
    }
    if (args.dk.data != nullptr) {
      Patch da{};
      add_products(v, dy, args.width, da);
      slopes_of_keys(args, queries, weights, da);
      share_weights(weights, q, place.columns, weights_tile);
      add_weighted(weights_tile, others_tile, queries.count, dk);
    }
  }
  if (args.dk.data != nullptr) {
    store_tile(dk, rows_at(args.dk, share.begin, place.head, share.rows), place.columns);
  }
  if (args.dv.data != nullptr) {
    store_tile(dv, rows_at(args.dv, share.begin, place.head, share.rows), place.columns);
  }
}

}  // namespace strandline::cuda
