#include "cuda/kernels/partial_sums.hpp"

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"

namespace strandline::cuda {
namespace {

constexpr int kColumns = 32;
constexpr int kSlots = 16;

// Slot s of a column sums partials s, s + 16, ...; then the slots are added in order.
__global__ void __launch_bounds__(kColumns* kSlots) add_partial_sums_kernel(PartialSums sums) {
  __shared__ double of_slots[kSlots][kColumns];
  const std::int64_t size = sums.rows * sums.columns;
  const std::int64_t element = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  double sum = 0.0;
  if (element < size) {
    for (std::int64_t i = threadIdx.y; i < sums.count; i += kSlots) {
      sum += static_cast<double>(sums.partials[i * size + element]);
    }
  }
  of_slots[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || element >= size) return;
  for (int slot = 1; slot < kSlots; ++slot) sum += of_slots[slot][threadIdx.x];
  float* out = sums.out + element / sums.columns * sums.out_stride + element % sums.columns;
  *out = static_cast<float>(static_cast<double>(*out) + sum);
}

}  // namespace

void add_partial_sums(Context& context, const PartialSums& sums) {
  const std::int64_t size = sums.rows * sums.columns;
  if (size == 0 || sums.count == 0) return;
  const char* name = "add_partial_sums";
  add_partial_sums_kernel<<<checked_grid(ceil_div(size, std::int64_t{kColumns}), name), dim3(kColumns, kSlots), 0,
                            context.stream()>>>(sums);
  check_launch(name);
}

}  // namespace strandline::cuda
