#include "cuda/ops/embedding_cuda.hpp"

#include <algorithm>

#include "cuda/kernels/partial_sums.hpp"
#include "cuda/kernels/sweep.cuh"
#include "cuda/plans/row_ranges.hpp"

namespace strandline::cuda {
namespace {

template <class Y>
struct LookUp {
  const std::int32_t* ids;
  RowTensor table, y;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    using Table = std::conditional_t<std::is_same_v<Y, AnyElement>, AnyElement, float>;
    const RawPack<Table> from = load_pack<Table>(table, ids[row] * table.stride + column, count);
    float value[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) value[i] = from.get(i);
    store_pack<Y>(y, row * y.stride + column, count, value);
  }
};

constexpr int kChannels = 128;                // of a block, one per thread
constexpr std::int64_t kLettersOfBlock = 64;  // 32 KB of sums in shared memory
// As many ranges of tokens as these partial sums allow: 1,365 for 16 letters of 768 channels.
constexpr std::int64_t kPartialBytes = std::int64_t{64} << 20U;

struct Gradient {
  const std::int32_t* ids;
  RowTensor dy;
  float* partials;  // (ranges, letters, channels)
  std::int64_t tokens, tokens_of_range, letters, channels;
  std::int64_t slices, chunks;  // of letters, of channels
};

// One block: a range of tokens, a slice of the letters, a chunk of the channels. A thread owns one channel of the sums,
// so that tokens are added in order and nobody else writes there. Gradients are fetched ahead in batches, because each
// sum must wait for the one before.
template <class T>
__global__ void __launch_bounds__(kChannels) embedding_backward_kernel(Gradient gradient) {
  constexpr int kBatch = 8;
  extern __shared__ float sums[];
  const std::int64_t chunk = blockIdx.x % gradient.chunks;
  const std::int64_t slice = blockIdx.x / gradient.chunks % gradient.slices;
  const std::int64_t range = blockIdx.x / gradient.chunks / gradient.slices;
  const std::int64_t channel = chunk * kChannels + threadIdx.x;
  if (channel >= gradient.channels) return;  // no barrier follows: a thread reads its own sums only
  const std::int64_t first_letter = slice * kLettersOfBlock;
  const auto letters = static_cast<int>(min(kLettersOfBlock, gradient.letters - first_letter));
  for (int letter = 0; letter < letters; ++letter) sums[letter * kChannels + threadIdx.x] = 0.0F;

  const T* dy = static_cast<const T*>(gradient.dy.data) + channel;
  const std::int64_t end = min((range + 1) * gradient.tokens_of_range, gradient.tokens);
  for (std::int64_t t = range * gradient.tokens_of_range; t < end; t += kBatch) {
    std::int64_t letter[kBatch];
    T value[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      letter[b] = t + b < end ? gradient.ids[t + b] - first_letter : -1;
      if (letter[b] >= 0 && letter[b] < letters) value[b] = dy[(t + b) * gradient.dy.stride];
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      if (letter[b] >= 0 && letter[b] < letters) {
        sums[static_cast<int>(letter[b]) * kChannels + threadIdx.x] += to_float(value[b]);
      }
    }
  }
  float* partial = gradient.partials + (range * gradient.letters + first_letter) * gradient.channels + channel;
  for (int letter = 0; letter < letters; ++letter) {
    partial[letter * gradient.channels] = sums[letter * kChannels + threadIdx.x];
  }
}

}  // namespace

void embedding(Context& context, const ops::EmbeddingArgs& args) {
  const std::int64_t width = args.y_td.size(1);
  const auto launch = [&](auto y) {
    launch_sweep(
        context, {args.y_td.size(0), width, width},
        LookUp<decltype(y)>{device_data<std::int32_t>(args.ids_t), row_tensor(args.table_vd), row_tensor(args.y_td)},
        "embedding");
  };
  if (!packs_are_aligned(width, {args.table_vd, args.y_td})) return launch(AnyElement{});
  with_type(args.y_td.dtype(), launch);
}

void embedding_backward(Context& context, const ops::EmbeddingBackwardArgs& args) {
  const char* name = "embedding_backward";
  const Workspace::Scope scope(context.scratch());
  const std::int64_t letters = args.dtable_vd.size(0);
  const std::int64_t channels = args.dtable_vd.size(1);
  if (letters == 0) return;
  const std::int64_t tokens = args.dy_td.size(0);
  const std::int64_t table_bytes = checked_product(checked_product(letters, channels), sizeof(float));
  const RowRanges ranges = plan_row_ranges(tokens, table_bytes, kPartialBytes);
  const Gradient gradient{
      .ids = device_data<std::int32_t>(args.ids_t),
      .dy = row_tensor(args.dy_td),
      .partials = device_data<float>(context.scratch().take(DType::f32, {ranges.count, letters, channels})),
      .tokens = tokens,
      .tokens_of_range = ranges.rows,
      .letters = letters,
      .channels = channels,
      .slices = ceil_div(letters, kLettersOfBlock),
      .chunks = ceil_div(channels, std::int64_t{kChannels})};
  const std::int64_t shared_bytes = std::min(letters, kLettersOfBlock) * kChannels * std::int64_t{sizeof(float)};
  with_type(args.dy_td.dtype(), [&](auto element) {
    const std::int64_t blocks = checked_product(ranges.count, gradient.slices * gradient.chunks);
    embedding_backward_kernel<decltype(element)>
        <<<checked_grid(blocks, name), kChannels, static_cast<std::size_t>(shared_bytes), context.stream()>>>(gradient);
    check_launch(name);
  });
  add_partial_sums(context, {.partials = gradient.partials,
                             .count = ranges.count,
                             .rows = letters,
                             .columns = channels,
                             .out = device_data<float>(args.dtable_vd),
                             .out_stride = args.dtable_vd.stride(0)});
}

}  // namespace strandline::cuda
