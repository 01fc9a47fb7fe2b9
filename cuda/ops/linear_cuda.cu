#include "cuda/ops/linear_cuda.hpp"

#include <algorithm>
#include <initializer_list>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/ops/own_product.hpp"
#include "cuda/plans/linear_plan.hpp"

// A product is computed in fp32 when both of its activations are fp32, and otherwise with bf16 operands: weights, and
// an fp32 gradient of the residual stream that meets a bf16 tensor, are rounded into scratch. Which of the two, and
// who computes it, depends on types, widths and alignment; never on the number of tokens.
namespace strandline::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChunk = 8;  // bf16 elements in 16 bytes

__device__ __forceinline__ void load_four(float (&to)[kChunk], int first, const float* from) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[first] = four.x;
  to[first + 1] = four.y;
  to[first + 2] = four.z;
  to[first + 3] = four.w;
}

struct Rounding {
  Rows<const float> from;
  Rows<bf16> to;  // rows of whole chunks
  std::int64_t columns;
  unsigned chunks_per_row;
  unsigned chunks;
  bool by_fours;  // address and stride allow 16-byte loads
};

/// One chunk a thread; columns beyond the last become zeros.
__global__ void __launch_bounds__(kThreads) round_kernel(Rounding job) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= job.chunks) return;
  const unsigned row = index / job.chunks_per_row;
  const std::int64_t column = static_cast<std::int64_t>(index % job.chunks_per_row) * kChunk;
  const float* from = job.from.row(row) + column;
  float value[kChunk];
  if (job.by_fours && column + kChunk <= job.columns) {
    load_four(value, 0, from);
    load_four(value, 4, from + 4);
  } else {
#pragma unroll
    for (int i = 0; i < kChunk; ++i) value[i] = column + i < job.columns ? from[i] : 0.0F;
  }
  Pack<bf16, kChunk> rounded;
#pragma unroll
  for (int i = 0; i < kChunk; ++i) rounded.item[i] = from_float<bf16>(value[i]);
  store_pack(rounded, job.to.row(row) + column);
}

/// The matrix itself when it holds bf16, else a rounded copy with aligned rows in scratch: hold a Workspace::Scope.
ConstView as_bf16(Context& context, const ConstView& from) {
  if (from.dtype() == DType::bf16) return from;
  const std::int64_t rows = from.size(0);
  const std::int64_t columns = from.size(1);
  const std::int64_t stride = round_up(std::max<std::int64_t>(columns, 1), kChunk);
  const View to = context.scratch().take(DType::bf16, {rows, stride});
  const std::int64_t chunks = checked_product(rows, ceil_div(columns, kChunk));
  if (chunks > 0) {
    const bool by_fours = reinterpret_cast<std::uintptr_t>(from.data()) % 16 == 0 && from.stride(0) % 4 == 0;
    const Rounding job{.from = rows_of<float>(from),
                       .to = rows_of<bf16>(to),
                       .columns = columns,
                       .chunks_per_row = static_cast<unsigned>(ceil_div(columns, kChunk)),
                       .chunks = static_cast<unsigned>(checked_cast<int>(chunks)),
                       .by_fours = by_fours};
    const unsigned blocks = checked_grid(ceil_div(chunks, kThreads), "linear: round to bf16");
    round_kernel<<<blocks, kThreads, 0, context.stream()>>>(job);
    check_launch("linear: round to bf16");
  }
  return ConstView(to.data(), DType::bf16, {rows, columns}, {stride, 1}, from.device());
}

Operand operand_of(const ConstView& matrix, bool depth_is_dense) {
  return {matrix.data(), matrix.dtype(), matrix.stride(0), depth_is_dense};
}

void multiply(Context& context, const Product& product) {
  if (blas_takes(product) && context.matmul().has_algorithm(product)) {
    context.matmul().run(product);
  } else {
    own_product(context.stream(), product);
  }
}

std::int64_t widest(std::initializer_list<ConstView> tensors) {
  std::int64_t stride = 0;
  for (const ConstView& tensor : tensors) {
    if (tensor) stride = std::max(stride, tensor.stride(0));
  }
  return stride;
}

bool is_bf16(const ConstView& tensor) { return tensor && tensor.dtype() == DType::bf16; }

/// dweight[o, i] += the ranges' partial sums, in order.
__global__ void __launch_bounds__(kThreads)
    add_partials_kernel(const float* partial, std::int64_t ranges, Rows<float> dweight, int2 outputs_inputs) {
  const std::int64_t count = static_cast<std::int64_t>(outputs_inputs.x) * outputs_inputs.y;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  float sum = 0.0F;
#pragma unroll 8
  for (std::int64_t range = 0; range < ranges; ++range) sum += partial[range * count + index];
  dweight.row(index / outputs_inputs.y)[index % outputs_inputs.y] += sum;
}

/// Of one piece of the tokens: whole ranges by cuBLASLt where it takes them, the rest by our own kernel.
void add_weight_gradient(Context& context, const ConstView& dy_to, const ConstView& x_ti, const View& dweight_oi) {
  const std::int64_t tokens = dy_to.size(0);
  const std::int64_t outputs = dy_to.size(1);
  const std::int64_t inputs = x_ti.size(1);
  Product whole{.a = operand_of(dy_to, false),
                .b = operand_of(x_ti, false),
                .y_stride = inputs,
                .rows = outputs,
                .columns = inputs,
                .range = plan_gradient_range({tokens, outputs, inputs, kBlasRange}),
                .y_range_stride = outputs * inputs};
  whole.depth = tokens / whole.range * whole.range;
  if (whole.depth > 0 && !(blas_takes(whole) && context.matmul().has_algorithm(whole))) whole.depth = 0;

  Product rest = whole;
  rest.depth = tokens - whole.depth;
  rest.range = plan_gradient_range({rest.depth, outputs, inputs, kOwnRange});
  rest.a = operand_of(dy_to.slice(0, whole.depth, tokens), false);
  rest.b = operand_of(x_ti.slice(0, whole.depth, tokens), false);
  const std::int64_t whole_ranges = whole.depth / whole.range;
  const std::int64_t ranges = whole_ranges + (rest.depth > 0 ? rest.ranges() : 0);

  const Workspace::Scope scope(context.scratch());
  auto* partial = context.scratch().take(DType::f32, {ranges, outputs, inputs}).as<float>();
  whole.y = partial;
  rest.y = partial + whole_ranges * outputs * inputs;
  if (whole.depth > 0) context.matmul().run(whole);
  if (rest.depth > 0) own_product(context.stream(), rest);
  const unsigned blocks = checked_grid(ceil_div(outputs * inputs, kThreads), "linear_backward: add partial sums");
  add_partials_kernel<<<blocks, kThreads, 0, context.stream()>>>(
      partial, ranges, rows_of<float>(dweight_oi), make_int2(checked_cast<int>(outputs), checked_cast<int>(inputs)));
  check_launch("linear_backward: add partial sums");
}

// Sums down the columns: kSumRows rows a block, 32 columns wide, eight threads to a column.
constexpr std::int64_t kSumRows = kColumnSumRows;
constexpr int kSumColumns = 32;
constexpr int kSumThreads = kThreads / kSumColumns;

struct ColumnSum {
  std::int64_t rows;
  std::int64_t columns;
  unsigned column_tiles;
  float* to;  // [ranges of 1024 rows, columns]
  bool accumulate;
};

template <class T>
__global__ void __launch_bounds__(kThreads) column_sum_kernel(Rows<const T> from, ColumnSum job) {
  __shared__ float parts[kSumThreads][kSumColumns + 1];
  const int across = static_cast<int>(threadIdx.x) % kSumColumns;
  const int down = static_cast<int>(threadIdx.x) / kSumColumns;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % job.column_tiles) * kSumColumns + across;
  const std::int64_t range = blockIdx.x / job.column_tiles;
  const std::int64_t first = range * kSumRows;
  const std::int64_t end = first + kSumRows < job.rows ? first + kSumRows : job.rows;
  float sum = 0.0F;
  if (column < job.columns) {
#pragma unroll 8
    for (std::int64_t row = first + down; row < end; row += kSumThreads) sum += to_float(from.row(row)[column]);
  }
  parts[down][across] = sum;
  __syncthreads();
  if (down > 0 || column >= job.columns) return;
  for (int part = 1; part < kSumThreads; ++part) sum += parts[part][across];
  float& to = job.to[range * job.columns + column];
  to = job.accumulate ? to + sum : sum;
}

/// dbias[o] += sum_t dy[t, o]: blocks of 1024 rows, then of 1024 block sums, until one row is left.
void add_column_sums(Context& context, const ConstView& from, const View& dbias_o) {
  const std::int64_t columns = from.size(1);
  const std::int64_t ranges = ceil_div(from.size(0), kSumRows);
  const std::int64_t column_tiles = ceil_div(columns, kSumColumns);
  const Workspace::Scope scope(context.scratch());
  const View partial = ranges > 1 ? context.scratch().take(DType::f32, {ranges, columns}) : View();
  const ColumnSum job{.rows = from.size(0),
                      .columns = columns,
                      .column_tiles = checked_cast<unsigned>(column_tiles),
                      .to = partial ? partial.as<float>() : dbias_o.as<float>(),
                      .accumulate = !partial};
  const unsigned blocks = checked_grid(checked_product(ranges, column_tiles), "linear_backward: sum of columns");
  with_type(from.dtype(), [&](auto type) {
    using T = decltype(type);
    column_sum_kernel<T><<<blocks, kThreads, 0, context.stream()>>>(rows_of<T>(from), job);
  });
  check_launch("linear_backward: sum of columns");
  if (partial) add_column_sums(context, partial, dbias_o);
}

}  // namespace

void linear(Context& context, const ops::LinearArgs& args) {
  if (args.y_to.elements() == 0) return;
  const std::int64_t tokens = args.x_ti.size(0);
  const std::int64_t inputs = args.x_ti.size(1);
  const bool rounds = is_bf16(args.x_ti) || is_bf16(args.y_to);
  const Workspace::Scope scope(context.scratch());
  const ConstView weight_oi = rounds ? as_bf16(context, args.weight_oi) : args.weight_oi;
  const std::int64_t piece = plan_piece_tokens(
      {.widest_stride = widest({args.x_ti, args.y_to}), .converted_width = rounds && !is_bf16(args.x_ti) ? inputs : 0});
  for (std::int64_t begin = 0; begin < tokens; begin += piece) {
    const std::int64_t end = std::min(tokens, begin + piece);
    const Workspace::Scope piece_scope(context.scratch());
    const ConstView x = args.x_ti.slice(0, begin, end);
    const View y = args.y_to.slice(0, begin, end);
    multiply(context, {.a = operand_of(rounds ? as_bf16(context, x) : x, true),
                       .b = operand_of(weight_oi, true),
                       .y = y.data(),
                       .y_dtype = y.dtype(),
                       .y_stride = y.stride(0),
                       .bias = args.bias_o ? args.bias_o.as<float>() : nullptr,
                       .accumulate = args.accumulate,
                       .rows = end - begin,
                       .columns = y.size(1),
                       .depth = inputs});
  }
}

void linear_backward(Context& context, const ops::LinearBackwardArgs& args) {
  const std::int64_t tokens = args.dy_to.size(0);
  const std::int64_t outputs = args.weight_oi.size(0);
  const std::int64_t inputs = args.weight_oi.size(1);
  const bool wants_dx = args.dx_ti && inputs > 0;
  const bool wants_dweight = args.dweight_oi && outputs > 0 && inputs > 0;
  const bool rounds_dx = wants_dx && (is_bf16(args.dy_to) || is_bf16(args.dx_ti));
  const bool rounds_dweight = wants_dweight && (is_bf16(args.dy_to) || is_bf16(args.x_ti));
  const bool rounds_dy = rounds_dx || rounds_dweight;

  const Workspace::Scope scope(context.scratch());
  const ConstView weight_oi = rounds_dx ? as_bf16(context, args.weight_oi) : args.weight_oi;
  const std::int64_t piece =
      plan_piece_tokens({.widest_stride = widest({args.dy_to, args.x_ti, args.dx_ti}),
                         .converted_width = (rounds_dy && !is_bf16(args.dy_to) ? outputs : 0) +
                                            (rounds_dweight && !is_bf16(args.x_ti) ? inputs : 0)});
  for (std::int64_t begin = 0; begin < tokens && (wants_dx || wants_dweight); begin += piece) {
    const std::int64_t end = std::min(tokens, begin + piece);
    const Workspace::Scope piece_scope(context.scratch());
    const ConstView dy = args.dy_to.slice(0, begin, end);
    const ConstView rounded_dy = rounds_dy ? as_bf16(context, dy) : dy;
    if (wants_dx) {
      const View dx = args.dx_ti.slice(0, begin, end);
      multiply(context, {.a = operand_of(rounds_dx ? rounded_dy : dy, true),
                         .b = operand_of(weight_oi, false),
                         .y = dx.data(),
                         .y_dtype = dx.dtype(),
                         .y_stride = dx.stride(0),
                         .rows = end - begin,
                         .columns = inputs,
                         .depth = outputs});
    }
    if (wants_dweight) {
      const ConstView x = args.x_ti.slice(0, begin, end);
      add_weight_gradient(context, rounds_dweight ? rounded_dy : dy, rounds_dweight ? as_bf16(context, x) : x,
                          args.dweight_oi);
    }
  }
  if (args.dbias_o && outputs > 0) add_column_sums(context, args.dy_to, args.dbias_o);
}

}  // namespace strandline::cuda
