#include "cuda/ops/pseudo_inverse_cuda.hpp"

#include <algorithm>
#include <vector>

#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/base/reduce.cuh"
#include "cuda/kernels/square_product.cuh"

// All matrices at once, product after product, in fp32 scratch whatever the elements are. The largest sums are found in
// double: rows that are softmaxes have sums that differ by their rounding alone, and the gradient goes to one of them.
namespace strandline::cuda {
namespace {

constexpr int kThreads = 256;

/// Of all rows, or columns, of all matrices.
struct Largest {
  double sum;
  std::int64_t line;  ///< matrix * m + row or column
};

/// What c and r are made of, in device memory.
struct Scaling {
  const Largest* row_and_column;

  __device__ __forceinline__ double factor() const { return 1.0 / (row_and_column[0].sum * row_and_column[1].sum); }
};

template <class T>
__global__ void widen_kernel(const T* from, float* to, std::int64_t count) {
  const std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x;
  if (index < count) to[index] = to_float(from[index]);
}

template <class T>
__global__ void narrow_kernel(const float* from, T* to, std::int64_t count) {
  const std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x;
  if (index < count) to[index] = from_float<T>(from[index]);
}

/// Sums of |a|: first over the `lines` rows, then over as many columns.
__global__ void line_sums_kernel(const float* a, double* sums, std::int64_t lines, std::int64_t m) {
  const std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x;
  if (index >= 2 * lines) return;
  const bool is_row = index < lines;
  const std::int64_t line = is_row ? index : index - lines;
  const float* from = a + (is_row ? line * m : line / m * m * m + line % m);
  const std::int64_t step = is_row ? 1 : m;
  double sum = 0.0;
  for (std::int64_t k = 0; k < m; ++k) sum += static_cast<double>(fabsf(from[k * step]));
  sums[index] = sum;
}

/// Whether a comes before b: the larger sum, of equal ones the first.
__device__ __forceinline__ bool comes_first(const Largest& a, const Largest& b) {
  return a.sum > b.sum || (a.sum == b.sum && a.line < b.line);
}

/// Block 0: rows; block 1: columns. Sums that are NaN are passed over, as the reference does.
__global__ void largest_kernel(const double* sums, Largest* largest, std::int64_t lines) {
  __shared__ Largest found[kThreads];
  const double* from = sums + blockIdx.x * lines;
  Largest best{-1.0, 0};
  for (std::int64_t line = threadIdx.x; line < lines; line += kThreads) {
    if (from[line] > best.sum) best = {from[line], line};
  }
  found[threadIdx.x] = best;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && comes_first(found[threadIdx.x + half], found[threadIdx.x])) {
      found[threadIdx.x] = found[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) largest[blockIdx.x] = found[0];
}

/// Index of (i, j) of a matrix as that of (j, i).
__device__ __forceinline__ std::int64_t mirrored(std::int64_t index, std::int64_t m) {
  const std::int64_t row = index / m;
  return row / m * m * m + index % m * m + row % m;
}

/// Elements of all matrices, of m rows each.
struct Elements {
  const float* data;
  std::int64_t count;
  std::int64_t m;
};

__global__ void first_z_kernel(const Elements a, Scaling scaling, float* z) {
  const std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x;
  if (index < a.count) z[index] = static_cast<float>(scaling.factor()) * a.data[mirrored(index, a.m)];
}

/// The derivative by the factor 1 / (c r): partial[block] = sum of dz(i, j) a(j, i) over the block's elements.
__global__ __launch_bounds__(kThreads) void factor_slope_kernel(const Elements a, const float* dz, double* partial) {
  __shared__ double scratch[kThreads / kWarp];
  double sum = 0.0;
  for (std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x; index < a.count;
       index += gridDim.x * std::int64_t{kThreads}) {
    sum += static_cast<double>(dz[index]) * static_cast<double>(a.data[mirrored(index, a.m)]);
  }
  sum = block_sum<kThreads>(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ __launch_bounds__(kThreads) void ordered_sum_kernel(const double* partial, int count, double* to) {
  __shared__ double scratch[kThreads / kWarp];
  double sum = 0.0;
  for (int index = static_cast<int>(threadIdx.x); index < count; index += kThreads) sum += partial[index];
  sum = block_sum<kThreads>(sum, scratch);
  if (threadIdx.x == 0) *to = sum;
}

struct FinishArgs {
  const float* a;
  const float* da;
  const float* dz;  ///< of the first z
  const double* slope;
  Scaling scaling;
  std::int64_t count;
  std::int64_t m;
};

/// da + dz^T / (c r), and what comes through c and r themselves.
template <class T>
__global__ void finish_kernel(const FinishArgs args, T* da) {
  const std::int64_t index = blockIdx.x * std::int64_t{kThreads} + threadIdx.x;
  if (index >= args.count) return;
  const double factor = args.scaling.factor();
  const Largest row = args.scaling.row_and_column[0];
  const Largest column = args.scaling.row_and_column[1];
  const std::int64_t own_row = index / args.m;
  const std::int64_t own_column = own_row / args.m * args.m + index % args.m;
  double value = static_cast<double>(args.da[index]) + factor * static_cast<double>(args.dz[mirrored(index, args.m)]);
  const float element = args.a[index];
  const double sign = element < 0.0F ? -1.0 : element > 0.0F ? 1.0 : 0.0;
  if (own_row == row.line) value -= *args.slope * factor / row.sum * sign;
  if (own_column == column.line) value -= *args.slope * factor / column.sum * sign;
  da[index] = from_float<T>(static_cast<float>(value));
}

/// The matrices of one call, and what is done to all of them at once.
class Squares {
 public:
  Squares(Context& context, const ConstView& a_hmm)
      : context_(context), heads_(a_hmm.size(0)), m_(a_hmm.size(1)), count_(a_hmm.elements()), a_(widened(a_hmm)) {
    const View sums = context_.scratch().take(DType::f64, {2 * heads_ * m_});
    const View largest = context_.scratch().take(DType::u8, {2 * static_cast<std::int64_t>(sizeof(Largest))});
    scaling_.row_and_column = device_data<Largest>(largest);
    line_sums_kernel<<<blocks_for(2 * heads_ * m_), kThreads, 0, context_.stream()>>>(a_, device_data<double>(sums),
                                                                                      heads_ * m_, m_);
    check_launch("pseudo_inverse: sums");
    largest_kernel<<<2, kThreads, 0, context_.stream()>>>(device_data<double>(sums), device_data<Largest>(largest),
                                                          heads_ * m_);
    check_launch("pseudo_inverse: largest sums");
  }

  float* take() { return device_data<float>(context_.scratch().take(DType::f32, {count_})); }
  const float* a() const { return a_; }

  float* widened(const ConstView& from) {
    float* to = take();
    with_type(from.dtype(), [&](auto type) {
      widen_kernel<<<blocks_for(count_), kThreads, 0, context_.stream()>>>(device_data<decltype(type)>(from), to,
                                                                           count_);
    });
    check_launch("pseudo_inverse: widen");
    return to;
  }

  void write(const float* from, const View& to) {
    with_type(to.dtype(), [&](auto type) {
      narrow_kernel<<<blocks_for(count_), kThreads, 0, context_.stream()>>>(from, device_data<decltype(type)>(to),
                                                                            count_);
    });
    check_launch("pseudo_inverse: write");
  }

  void multiply(SquareProduct product) {
    product.m = m_;
    product.tiles = ceil_div(m_, kProductTile);
    square_product_kernel<<<checked_grid(heads_ * product.tiles * product.tiles, "pseudo_inverse: product"),
                            kProductThreads, 0, context_.stream()>>>(product);
    check_launch("pseudo_inverse: product");
  }

  void first_z(float* z) {
    first_z_kernel<<<blocks_for(count_), kThreads, 0, context_.stream()>>>({a_, count_, m_}, scaling_, z);
    check_launch("pseudo_inverse: first z");
  }

  void finish(const float* da, const float* dz, const View& da_hmm) {
    const int blocks = static_cast<int>(std::min<std::int64_t>(ceil_div(count_, kThreads), 1024));
    double* sums = device_data<double>(context_.scratch().take(DType::f64, {blocks + 1}));
    factor_slope_kernel<<<blocks, kThreads, 0, context_.stream()>>>({a_, count_, m_}, dz, sums + 1);
    check_launch("pseudo_inverse_backward: slope");
    ordered_sum_kernel<<<1, kThreads, 0, context_.stream()>>>(sums + 1, blocks, sums);
    check_launch("pseudo_inverse_backward: sum");
    const FinishArgs args{.a = a_, .da = da, .dz = dz, .slope = sums, .scaling = scaling_, .count = count_, .m = m_};
    with_type(da_hmm.dtype(), [&](auto type) {
      finish_kernel<<<blocks_for(count_), kThreads, 0, context_.stream()>>>(args, device_data<decltype(type)>(da_hmm));
    });
    check_launch("pseudo_inverse_backward: finish");
  }

 private:
  static unsigned blocks_for(std::int64_t items) { return checked_grid(ceil_div(items, kThreads), "pseudo_inverse"); }

  Context& context_;
  std::int64_t heads_;
  std::int64_t m_;
  std::int64_t count_;
  const float* a_;
  Scaling scaling_{};
};

/// What one iteration makes of z; 7 - a z is never stored, but formed where it is read.
struct Step {
  float* az;
  float* second;
  float* third;

  explicit Step(Squares& squares) : az(squares.take()), second(squares.take()), third(squares.take()) {}
  SquareFactor first(bool is_transposed = false) const { return {az, is_transposed, -1.0F, 7.0F}; }

  void run(Squares& squares, const float* z) const {
    squares.multiply({.a = {squares.a()}, .b = {z}, .c = az});
    squares.multiply({.a = {az}, .b = first(), .alpha = -1.0F, .unit = 15.0F, .c = second});
    squares.multiply({.a = {az}, .b = {second}, .alpha = -1.0F, .unit = 13.0F, .c = third});
  }
  void next(Squares& squares, const float* z, float* z_next) const {
    squares.multiply({.a = {z}, .b = {third}, .alpha = 0.25F, .c = z_next});
  }
};

/// Gradients on the way back through one iteration.
struct StepGradient {
  float* dthird;
  float* dsecond;
  float* daz;
  float* dz_part;

  explicit StepGradient(Squares& squares)
      : dthird(squares.take()), dsecond(squares.take()), daz(squares.take()), dz_part(squares.take()) {}

  struct InOut {
    float* dz;  ///< becomes the gradient of z from that of the next
    float* da;  ///< is added to
  };
  void run(Squares& squares, const Step& step, const float* z, const InOut& gradients) const {
    const auto [dz, da] = gradients;
    squares.multiply({.a = {z, true}, .b = {dz}, .alpha = 0.25F, .c = dthird});
    squares.multiply({.a = {step.az, true}, .b = {dthird}, .alpha = -1.0F, .c = dsecond});
    // daz = -(dthird second^T + dsecond first^T + dfirst), dfirst = -az^T dsecond
    squares.multiply({.a = {step.az, true}, .b = {dsecond}, .c = daz});
    squares.multiply({.a = {dthird}, .b = {step.second, true}, .alpha = -1.0F, .plus = daz, .c = daz});
    squares.multiply({.a = {dsecond}, .b = step.first(true), .alpha = -1.0F, .plus = daz, .c = daz});
    squares.multiply({.a = {dz}, .b = {step.third, true}, .alpha = 0.25F, .c = dz_part});
    squares.multiply({.a = {squares.a(), true}, .b = {daz}, .plus = dz_part, .c = dz});
    squares.multiply({.a = {daz}, .b = {z, true}, .plus = da, .c = da});
  }
};

}  // namespace

void pseudo_inverse(Context& context, const ops::PseudoInverseArgs& args) {
  const Workspace::Scope scope(context.scratch());
  Squares squares(context, args.a_hmm);
  const Step step(squares);
  float* z = squares.take();
  float* z_next = squares.take();
  squares.first_z(z);
  for (std::int64_t i = 0; i < args.iterations; ++i) {
    step.run(squares, z);
    step.next(squares, z, z_next);
    std::swap(z, z_next);
  }
  squares.write(z, args.z_hmm);
}

// Every z is kept; the rest of an iteration is computed again: three products beside the eight of the gradient.
void pseudo_inverse_backward(Context& context, const ops::PseudoInverseBackwardArgs& args) {
  const Workspace::Scope scope(context.scratch());
  Squares squares(context, args.a_hmm);
  const Step step(squares);
  const StepGradient gradient(squares);
  std::vector<float*> z{squares.take()};
  squares.first_z(z.back());
  for (std::int64_t i = 0; i + 1 < args.iterations; ++i) {
    z.push_back(squares.take());
    step.run(squares, z.end()[-2]);
    step.next(squares, z.end()[-2], z.end()[-1]);
  }
  float* dz = squares.widened(args.dz_hmm);
  const View da = context.scratch().take_zeros(DType::f32, {args.a_hmm.elements()});
  for (auto each = z.rbegin(); each != z.rend(); ++each) {
    step.run(squares, *each);
    gradient.run(squares, step, *each, {dz, device_data<float>(da)});
  }
  squares.finish(device_data<float>(da), dz, args.da_hmm);
}

}  // namespace strandline::cuda
