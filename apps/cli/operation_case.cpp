#include "apps/cli/operation_case.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/base/philox.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr double kBoundFp32 = 1e-5;
constexpr double kBoundBf16 = 3e-2;
// A draw costs far more than a copy: beyond this, a tensor repeats itself.
constexpr std::int64_t kMostDrawn = std::int64_t{1} << 19;

std::vector<double> numbers_of(Backend& backend, const View& view) {
  std::vector<double> values(static_cast<std::size_t>(view.elements()));
  if (view.dtype() != DType::bf16) {
    download_values(backend.memory(), view, values);
    return values;
  }
  std::vector<Bf16> stored(values.size());
  backend.memory().download(stored.data(), view.data(), stored.size() * sizeof(Bf16));
  std::transform(stored.begin(), stored.end(), values.begin(), [](Bf16 value) { return double{to_float(value)}; });
  return values;
}

}  // namespace

Tensors::Tensors(Backend& backend, const OperationSizes& sizes) : backend_(backend) {
  for (std::int64_t s = 0; s <= sizes.sequences; ++s) seq_begin_.push_back(sizes.tokens * s / sizes.sequences);
}

View Tensors::empty(DType dtype, const Shape& shape) {
  buffers_.push_back(std::make_unique<Buffer>(backend_.memory(), dtype, shape));
  return buffers_.back()->view();
}

View Tensors::gradient(const Shape& shape) {
  const View view = empty(backend_.accumulate_dtype(), shape);
  buffers_.back()->zero();
  return view;
}

View Tensors::ids(std::int64_t count, std::int64_t end) {
  RandomStream draws(1, stream_++);
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::int32_t& value : values) {
    value = static_cast<std::int32_t>(draws.below(static_cast<std::uint32_t>(end)));
  }
  const View view = empty(DType::i32, {count});
  backend_.memory().upload(view.data(), values.data(), values.size() * sizeof(std::int32_t));
  return view;
}

View Tensors::random(DType dtype, const Shape& shape, Range range) {
  RandomStream draws(1, stream_++);
  const View view = empty(dtype, shape);
  const std::int64_t elements = view.elements();
  const std::int64_t drawn = std::min(elements, kMostDrawn);
  if (drawn == 0) return view;
  std::vector<float> values(static_cast<std::size_t>(drawn));
  std::vector<Bf16> rounded(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    rounded[i] = to_bf16(static_cast<float>(range.low + (range.high - range.low) * draws.uniform()));
    values[i] = to_float(rounded[i]);
  }
  Memory& memory = backend_.memory();
  if (dtype == DType::bf16) {
    memory.upload(view.data(), rounded.data(), rounded.size() * sizeof(Bf16));
  } else {
    upload_values(memory, values, View(view.data(), dtype, {drawn}, view.device()));
  }
  auto* bytes = static_cast<std::byte*>(view.data());
  const std::size_t whole = static_cast<std::size_t>(elements) * size_of(dtype);
  for (std::size_t done = values.size() * size_of(dtype); done < whole;) {
    const std::size_t part = std::min(done, whole - done);
    memory.copy(bytes + done, bytes, part);
    done += part;
  }
  return view;
}

double relative_error(std::span<const double> values, std::span<const double> truth) {
  double error = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    // NaN must not pass as a small error.
    const double difference = std::abs(values[i] - truth[i]);
    error = std::isnan(difference) ? HUGE_VAL : std::max(error, difference);
    largest = std::max(largest, std::abs(truth[i]));
  }
  return largest > 0.0 ? error / largest : error;
}

double error_of(const OperationCase& operation, Backend& backend, const OperationSizes& sizes) {
  const auto reference = make_ref_backend();
  const Operation truth = operation.make(*reference, sizes);
  truth.run();
  const Operation result = operation.make(backend, sizes);
  result.run();
  backend.synchronize();
  double error = 0.0;
  for (std::size_t i = 0; i < truth.outputs.size(); ++i) {
    error = std::max(error,
                     relative_error(numbers_of(backend, result.outputs[i]), numbers_of(*reference, truth.outputs[i])));
  }
  if (truth.number) error = std::max(error, relative_error({result.number.get(), 1}, {truth.number.get(), 1}));
  return error;
}

double error_bound(const Backend& backend) { return backend.dtype() == DType::bf16 ? kBoundBf16 : kBoundFp32; }

}  // namespace strandline
