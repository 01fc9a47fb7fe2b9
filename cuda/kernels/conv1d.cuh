// Device code of the causal depthwise convolution. A thread owns four neighbouring channels and walks along tokens in
// scan order with the last K - 1 inputs in registers, so that every input is read once.
#pragma once

#include <cstdint>

#include "cuda/kernels/packs.cuh"
#include "cuda/kernels/sequences.cuh"
#include "cuda/kernels/sigmoid.cuh"

namespace strandline::cuda {

inline constexpr int kConvThreads = 128;

/// (S, K-1, C), or absent.
struct ConvStates {
  float* data = nullptr;
  std::int64_t sequence_stride = 0;
  std::int64_t row_stride = 0;

  __device__ __forceinline__ float* row(std::int64_t s, std::int64_t j) const {
    return data + s * sequence_stride + j * row_stride;
  }
};

/// What the forward and the backward read.
struct ConvInputs {
  RowTensor x;
  const float* weight = nullptr;
  std::int64_t weight_stride = 0;
  const float* bias = nullptr;  // or null
  ConvStates initial;
  Sequences sequences;
  std::int64_t tokens = 0;
  std::int64_t channels = 0;
  std::int64_t tokens_of_run = 0;
  std::int64_t chunks = 0;
  std::int64_t warps = 0;
  int taps = 0;
  bool reverse = false;
  bool silu = false;
};

struct ConvForward {
  ConvInputs in;
  RowTensor y;
};

struct ConvBackward {
  ConvInputs in;
  RowTensor dy, dx;
  ConvStates dfinal;
  float* dweight = nullptr;  // partial sums (runs, C, K), or null
  float* dbias = nullptr;    // partial sums (runs, C), or null
};

/// Places [first, last) of one sequence, in scan order: place 0 is the first token scanned.
struct ConvPart {
  std::int64_t sequence, begin, end;
  std::int64_t first, last;
  bool reverse;

  __device__ __forceinline__ std::int64_t length() const { return end - begin; }
  __device__ __forceinline__ std::int64_t token(std::int64_t place) const {
    return reverse ? end - 1 - place : begin + place;
  }
};

/// The part of sequence `s` that is tokens [first_token, last_token).
__device__ __forceinline__ ConvPart conv_part(const ConvInputs& in, std::int64_t s, std::int64_t first_token,
                                              std::int64_t last_token) {
  ConvPart part{.sequence = s,
                .begin = in.sequences.begin[s],
                .end = in.sequences.begin[s + 1],
                .first = 0,
                .last = 0,
                .reverse = in.reverse};
  part.first = in.reverse ? part.end - last_token : first_token - part.begin;
  part.last = part.first + (last_token - first_token);
  return part;
}

/// A thread's channels.
struct ConvLane {
  std::int64_t run, channel;
  int count;  // of channels that exist: 0 to 4
};

__device__ __forceinline__ ConvLane conv_lane(const ConvInputs& in, std::int64_t warp) {
  ConvLane lane;
  lane.run = warp / in.chunks;
  lane.channel = ((warp % in.chunks) * kWarp + threadIdx.x % kWarp) * kPack;
  lane.count = pack_count(in.channels, lane.channel);
  return lane;
}

/// Where a thread is at work.
struct ConvAt {
  const ConvInputs& in;
  const ConvPart& part;
  const ConvLane& lane;
};

/// Taps of a thread's channels. kTaps is the number of taps, or 8 for any number up to 8: then the first `skipped` are
/// left out of every sum rather than multiplied by zero, which would spread NaN.
template <int kTaps>
struct ConvTaps {
  float weight[kTaps][kPack];
  float bias[kPack];
  int skipped;

  __device__ __forceinline__ bool has(int k) const { return kTaps < 8 || k >= skipped; }
};

template <int kTaps>
__device__ __forceinline__ ConvTaps<kTaps> load_taps(const ConvInputs& in, const ConvLane& lane) {
  ConvTaps<kTaps> taps;
  taps.skipped = kTaps - in.taps;
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    const bool exists = i < lane.count;
    taps.bias[i] = exists && in.bias != nullptr ? in.bias[lane.channel + i] : 0.0F;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      taps.weight[k][i] =
          exists && taps.has(k) ? in.weight[(lane.channel + i) * in.weight_stride + k - taps.skipped] : 0.0F;
    }
  }
  return taps;
}

/// The inputs at one place; before place 0 from the initial state, or zeros.
template <class X>
__device__ __forceinline__ void load_input(const ConvAt& at, std::int64_t place, float (&value)[kPack]) {
  const ConvInputs& in = at.in;
  const ConvLane& lane = at.lane;
  if (place >= 0) {
    const RawPack<X> raw = load_pack<X>(in.x, at.part.token(place) * in.x.stride + lane.channel, lane.count);
#pragma unroll
    for (int i = 0; i < kPack; ++i) value[i] = raw.get(i);
    return;
  }
  const bool given = in.initial.data != nullptr;
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    value[i] = given && i < lane.count ? in.initial.row(at.part.sequence, place + in.taps - 1)[lane.channel + i] : 0.0F;
  }
}

/// The kTaps - 1 inputs before `place`, oldest first.
template <class X, int kTaps>
__device__ __forceinline__ void load_window(const ConvAt& at, std::int64_t place, float (&window)[kTaps][kPack]) {
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) {
    if (kTaps < 8 || k >= kTaps - at.in.taps) {
      load_input<X>(at, place - (kTaps - 1) + k, window[k]);
    } else {
#pragma unroll
      for (int i = 0; i < kPack; ++i) window[k][i] = 0.0F;
    }
  }
}

/// The convolution at the place whose input is window[kTaps - 1].
template <int kTaps>
__device__ __forceinline__ float convolve(const ConvTaps<kTaps>& taps, const float (&window)[kTaps][kPack], int i) {
  float u = taps.bias[i];
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    if (taps.has(k)) u = fmaf(taps.weight[k][i], window[k][i], u);
  }
  return u;
}

template <int kTaps>
__device__ __forceinline__ void shift(float (&window)[kTaps][kPack]) {
#pragma unroll
  for (int k = 0; k + 1 < kTaps; ++k) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) window[k][i] = window[k + 1][i];
  }
}

/// Places of the walk whose inputs are fetched together.
inline constexpr int kConvBatch = 4;

/// Places of a walk that are still to come.
struct PlacesLeft {
  std::int64_t next, last;
};

/// The next four places of x as far as there are; zeros beyond.
template <class T>
__device__ __forceinline__ void load_batch(const ConvAt& at, const RowTensor& x, const PlacesLeft& places,
                                           RawPack<T> (&batch)[kConvBatch]) {
  const std::int64_t step = at.part.reverse ? -x.stride : x.stride;
  const std::int64_t first = at.part.token(places.next) * x.stride + at.lane.channel;
#pragma unroll
  for (int b = 0; b < kConvBatch; ++b) {
    batch[b] = load_pack<T>(x, first + b * step, places.next + b < places.last ? at.lane.count : 0);
  }
}

// The next four inputs are under way while four are worked on: memory is kept busy with few registers.
template <class T, int kTaps>
__device__ __forceinline__ void convolve_part(const ConvForward& conv, const ConvTaps<kTaps>& taps,
                                              const ConvPart& part, const ConvLane& lane) {
  const ConvAt at{conv.in, part, lane};
  float window[kTaps][kPack];
  RawPack<T> x[kConvBatch];
  RawPack<T> next[kConvBatch];
  load_batch(at, conv.in.x, {part.first, part.last}, x);
  load_window<T, kTaps>(at, part.first, window);
  const std::int64_t step = part.reverse ? -conv.y.stride : conv.y.stride;
  for (std::int64_t place = part.first; place < part.last; place += kConvBatch) {
    load_batch(at, conv.in.x, {place + kConvBatch, part.last}, next);
    const std::int64_t first = part.token(place) * conv.y.stride + lane.channel;
#pragma unroll
    for (int b = 0; b < kConvBatch; ++b) {
      if (place + b < part.last) {
        float y[kPack];
#pragma unroll
        for (int i = 0; i < kPack; ++i) {
          window[kTaps - 1][i] = x[b].get(i);
          const float u = convolve(taps, window, i);
          y[i] = conv.in.silu ? u * sigmoid(u) : u;
        }
        store_pack<T>(conv.y, first + b * step, lane.count, y);
        shift(window);
      }
    }
#pragma unroll
    for (int b = 0; b < kConvBatch; ++b) x[b] = next[b];
  }
}

template <class T, int kTaps>
__global__ void __launch_bounds__(kConvThreads) conv1d_kernel(ConvForward conv) {
  const std::int64_t warp = std::int64_t{blockIdx.x} * (kConvThreads / kWarp) + threadIdx.x / kWarp;
  if (warp >= conv.in.warps) return;
  const ConvLane lane = conv_lane(conv.in, warp);
  const std::int64_t begin = lane.run * conv.in.tokens_of_run;
  const std::int64_t end = min(begin + conv.in.tokens_of_run, conv.in.tokens);
  const std::int64_t first = sequence_of(conv.in.sequences, begin);
  if (lane.count == 0) return;
  const ConvTaps<kTaps> taps = load_taps<kTaps>(conv.in, lane);
  for_each_part(conv.in.sequences, first, {begin, end},
                [&](std::int64_t s, std::int64_t part_begin, std::int64_t part_end) {
                  convolve_part<T>(conv, taps, conv_part(conv.in, s, part_begin, part_end), lane);
                });
}

/// Slope of the activation at u, times dy.
__device__ __forceinline__ float conv_du(bool silu, float u, float dy) {
  return silu ? dy * silu_slope(u, sigmoid(u)) : dy;
}

/// A thread's sums for dweight and dbias. Every 2,048 tokens they move to the partial sums in memory, so that fp32 sums
/// stay short in a chromosome too.
template <int kTaps>
struct ConvSums {
  float dweight[kTaps][kPack];
  float dbias[kPack];
  std::int64_t places;
  bool stored;  // whether the partial sums hold something already
};

template <int kTaps>
__device__ __forceinline__ void clear(ConvSums<kTaps>& sums) {
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    sums.dbias[i] = 0.0F;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) sums.dweight[k][i] = 0.0F;
  }
  sums.places = 0;
}

template <int kTaps>
__device__ __forceinline__ void store_sums(const ConvBackward& conv, const ConvTaps<kTaps>& taps, const ConvLane& lane,
                                           ConvSums<kTaps>& sums) {
  const std::int64_t first = lane.run * conv.in.channels + lane.channel;
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    if (i >= lane.count) continue;
    if (conv.dbias != nullptr) {
      float& sum = conv.dbias[first + i];
      sum = sums.stored ? sum + sums.dbias[i] : sums.dbias[i];
    }
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      if (conv.dweight == nullptr || !taps.has(k)) continue;
      float& sum = conv.dweight[(first + i) * conv.in.taps + k - taps.skipped];
      sum = sums.stored ? sum + sums.dweight[k][i] : sums.dweight[k][i];
    }
  }
  sums.stored = true;
  clear(sums);
}

/// The gradient of the final state that reaches this place, or zeros.
__device__ __forceinline__ void load_dfinal(const ConvStates& dfinal, const ConvAt& at, std::int64_t place,
                                            float (&value)[kPack]) {
  const std::int64_t j = place - (at.part.length() - (at.in.taps - 1));
  const bool reached = dfinal.data != nullptr && j >= 0 && place < at.part.length();
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    value[i] = reached && i < at.lane.count ? dfinal.row(at.part.sequence, j)[at.lane.channel + i] : 0.0F;
  }
}

/// Between places i and i + 1 of the walk below.
template <int kTaps>
struct ConvWalk {
  float window[kTaps][kPack];    // inputs at places i - (K - 1) .. i
  float gradient[kTaps][kPack];  // of the same inputs, from du at places up to i
};

/// The walk back through one part, and what it takes at one place.
template <int kTaps>
struct ConvBack {
  const ConvBackward& conv;
  const ConvTaps<kTaps>& taps;
  const ConvAt& at;
};
template <class T>
struct ConvPlace {
  std::int64_t place;
  const RawPack<T>& x;
  const RawPack<T>& dy;
};

// One place i of the walk: takes du there to the gradients of the last K inputs, the oldest of which is then complete.
template <class T, int kTaps>
__device__ __forceinline__ void step_back(const ConvBack<kTaps>& back, const ConvPlace<T>& here, ConvWalk<kTaps>& walk,
                                          ConvSums<kTaps>& sums) {
  const ConvBackward& conv = back.conv;
  const ConvTaps<kTaps>& taps = back.taps;
  const ConvPart& part = back.at.part;
  load_dfinal(conv.dfinal, back.at, here.place, walk.gradient[kTaps - 1]);
  const bool counts = here.place < part.last;  // beyond, the place is the next run's: only its du is needed here
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    walk.window[kTaps - 1][i] = here.x.get(i);
    const float du = conv_du(conv.in.silu, convolve(taps, walk.window, i), here.dy.get(i));
    if (counts) sums.dbias[i] += du;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      if (!taps.has(k)) continue;
      walk.gradient[k][i] = fmaf(du, taps.weight[k][i], walk.gradient[k][i]);
      if (counts) sums.dweight[k][i] = fmaf(du, walk.window[k][i], sums.dweight[k][i]);
    }
  }
  const std::int64_t done = here.place - (conv.in.taps - 1);
  if (conv.dx.data != nullptr && done >= part.first) {
    float dx[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      dx[i] = walk.gradient[0][i];
#pragma unroll
      for (int k = 1; k < kTaps; ++k) {
        if (kTaps == 8 && k == taps.skipped) dx[i] = walk.gradient[k][i];
      }
    }
    store_pack<T>(conv.dx, part.token(done) * conv.dx.stride + back.at.lane.channel, back.at.lane.count, dx);
  }
  shift(walk.window);
  shift(walk.gradient);
}

// After the sequence's last place the K - 1 youngest gradients are complete as well: walk.gradient[k] is that of place
// end - (kTaps - 1) + k.
template <class T, int kTaps>
__device__ __forceinline__ void store_youngest(const RowTensor& dx, const ConvAt& at, const ConvWalk<kTaps>& walk) {
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) {
    const std::int64_t place = at.part.length() - (kTaps - 1) + k;
    if (k < kTaps - at.in.taps || place < at.part.first || place >= at.part.last) continue;
    store_pack<T>(dx, at.part.token(place) * dx.stride + at.lane.channel, at.lane.count, walk.gradient[k]);
  }
}

template <class T, int kTaps>
__device__ __forceinline__ void back_through_part(const ConvBackward& conv, const ConvTaps<kTaps>& taps,
                                                  const ConvAt& at, ConvSums<kTaps>& sums) {
  constexpr std::int64_t kPlacesOfSum = 2048;
  const ConvPart& part = at.part;
  ConvWalk<kTaps> walk;
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) walk.gradient[k][i] = 0.0F;
  }
  load_window<T, kTaps>(at, part.first, walk.window);
  const bool wants_dx = conv.dx.data != nullptr;
  const std::int64_t stop = wants_dx ? min(part.last + conv.in.taps - 1, part.length()) : part.last;
  for (std::int64_t place = part.first; place < stop; place += kConvBatch) {
    const auto here = static_cast<int>(min(std::int64_t{kConvBatch}, stop - place));
    RawPack<T> x[kConvBatch];
    RawPack<T> dy[kConvBatch];
    load_batch(at, conv.in.x, {place, stop}, x);
    load_batch(at, conv.dy, {place, stop}, dy);
#pragma unroll
    for (int b = 0; b < kConvBatch; ++b) {
      if (b < here) step_back<T, kTaps>({conv, taps, at}, {place + b, x[b], dy[b]}, walk, sums);
    }
    sums.places += here;
    if (sums.places >= kPlacesOfSum) store_sums(conv, taps, at.lane, sums);
  }
  if (wants_dx && stop == part.length()) store_youngest<T>(conv.dx, at, walk);
}

template <class T, int kTaps>
__global__ void __launch_bounds__(kConvThreads) conv1d_backward_kernel(ConvBackward conv) {
  const std::int64_t warp = std::int64_t{blockIdx.x} * (kConvThreads / kWarp) + threadIdx.x / kWarp;
  if (warp >= conv.in.warps) return;
  const ConvLane lane = conv_lane(conv.in, warp);
  const std::int64_t begin = lane.run * conv.in.tokens_of_run;
  const std::int64_t end = min(begin + conv.in.tokens_of_run, conv.in.tokens);
  const std::int64_t first = sequence_of(conv.in.sequences, begin);
  if (lane.count == 0) return;
  const ConvTaps<kTaps> taps = load_taps<kTaps>(conv.in, lane);
  ConvSums<kTaps> sums;
  sums.stored = false;
  clear(sums);
  for_each_part(conv.in.sequences, first, {begin, end},
                [&](std::int64_t s, std::int64_t part_begin, std::int64_t part_end) {
                  const ConvPart part = conv_part(conv.in, s, part_begin, part_end);
                  back_through_part<T>(conv, taps, {conv.in, part, lane}, sums);
                });
  store_sums(conv, taps, lane, sums);
}

}  // namespace strandline::cuda
