#include "tests/ops/backend_suite.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/ref/ref_backend.hpp"
#include "cuda/cuda_backend.hpp"
#include "tests/fixture/gpu.hpp"
#include "tests/ops/bf16_backend.hpp"

namespace strandline::test {
namespace {

constexpr std::int64_t kGuardElements = 64;
constexpr std::byte kGuard{0xFF};         // NaN in every floating type
constexpr double kBf16Roundoff = 0x1p-8;  // 8 significant bits: half a unit in the last place of 1

double rounded_to_bf16(double value) { return static_cast<double>(to_float(to_bf16(static_cast<float>(value)))); }

/// Calls body(offset) for every element in row-major order.
template <class Body>
void for_each_offset(const ConstView& view, const Body& body, int axis = 0, std::int64_t offset = 0) {
  if (axis == view.rank()) return body(offset);
  for (std::int64_t i = 0; i < view.size(axis); ++i)
    for_each_offset(view, body, axis + 1, offset + i * view.stride(axis));
}

double read(const std::byte* from, DType dtype) {
  switch (dtype) {
    case DType::f32: return static_cast<double>(*reinterpret_cast<const float*>(from));
    case DType::f64: return *reinterpret_cast<const double*>(from);
    case DType::bf16: return static_cast<double>(to_float(*reinterpret_cast<const Bf16*>(from)));
    default: return static_cast<double>(*reinterpret_cast<const std::int32_t*>(from));
  }
}

void write(std::byte* to, DType dtype, double value) {
  switch (dtype) {
    case DType::f32: *reinterpret_cast<float*>(to) = static_cast<float>(value); break;
    case DType::f64: *reinterpret_cast<double*>(to) = value; break;
    case DType::bf16: *reinterpret_cast<Bf16*>(to) = to_bf16(static_cast<float>(value)); break;
    default: *reinterpret_cast<std::int32_t*>(to) = static_cast<std::int32_t>(value); break;
  }
}

/// |a - b|; 0 for two NaN or two equal infinities, infinity when only one is finite.
double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  const double gap = std::fabs(a - b);
  return std::isfinite(gap) ? gap : std::numeric_limits<double>::infinity();
}

std::vector<double> distances(const HostTensor& a, const HostTensor& b) {
  std::vector<double> all(a.values.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = distance(a.values[i], b.values[i]);
  return all;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0.0;
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
  return values[rank];
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

std::vector<BackendCase> make_back_ends() {
  std::vector<BackendCase> all{{"ref", [](int) { return make_ref_backend(); }}};
  for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
    if (!has_cpu_isa(isa)) continue;
    all.push_back({"cpu_" + std::string(name_of(isa)),
                   [isa](int threads) { return make_cpu_backend({.threads = threads, .isa = isa}); }});
  }
  all.push_back(
      {"bf16_storage", [](int threads) { return make_bf16_storage_backend(make_cpu_backend({.threads = threads})); }});
  all.push_back({"cuda", [](int) { return make_cuda_backend({}); }, true});
  all.push_back({"cuda_bf16", [](int) { return make_cuda_backend({.dtype = DType::bf16}); }, true});
  return all;
}

}  // namespace

const std::vector<BackendCase>& back_ends() {
  static const std::vector<BackendCase> all = make_back_ends();
  return all;
}

std::string name_of_case(const testing::TestParamInfo<BackendCase>& info) { return info.param.name; }

HostTensor HostTensor::rows(std::int64_t begin, std::int64_t end) const {
  const std::int64_t width = shape[0] == 0 ? 0 : elements() / shape[0];
  HostTensor part{shape, {values.begin() + begin * width, values.begin() + end * width}};
  part.shape[0] = end - begin;
  return part;
}

HostTensor tensor_of(const Shape& shape, std::vector<double> values) {
  if (static_cast<std::int64_t>(values.size()) != shape.elements()) throw ContractError("tensor_of: wrong count");
  return {shape, std::move(values)};
}

HostTensor zeros(const Shape& shape) {
  return {shape, std::vector<double>(static_cast<std::size_t>(shape.elements()))};
}

HostTensor normal(const Shape& shape, std::uint64_t stream, double mean, double spread) {
  HostTensor tensor = zeros(shape);
  RandomStream random(20240521, stream);
  for (double& value : tensor.values) value = static_cast<double>(static_cast<float>(mean + spread * random.normal()));
  return tensor;
}

const Result& result_named(const Results& results, std::string_view name) {
  for (const Result& result : results) {
    if (result.name == name) return result;
  }
  throw ContractError("no result named " + std::string(name));
}

const HostTensor& named(const Results& results, std::string_view name) { return result_named(results, name).value; }

Stage::Storage Stage::next_activation() {
  const bool wide = ((options_.wide >> (activations_++ % 32U)) & 1U) != 0;
  return {wide ? backend_.accumulate_dtype() : backend_.dtype(), options_.rounded && !wide};
}

View Stage::place(std::string name, const Storage& storage, const Shape& shape, const HostTensor* value) {
  const DType dtype = storage.dtype;
  Shape strides = shape;
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (axis == 0 && shape.rank() > 1) step += options_.row_gap;
    strides[axis] = step;
    step *= shape[axis];
  }
  const auto element_bytes = static_cast<std::int64_t>(size_of(dtype));
  auto slot = std::make_unique<Slot>();
  slot->name = std::move(name);
  slot->memory = Buffer(backend_.memory(), dtype, {step + 2 * kGuardElements});
  slot->before.assign(slot->memory.size_bytes(), kGuard);
  auto* data = static_cast<std::byte*>(slot->memory.view().data()) + kGuardElements * element_bytes;
  slot->view = View(data, dtype, shape, strides, backend_.memory().device());
  if (value != nullptr) {
    std::byte* host = slot->before.data() + kGuardElements * element_bytes;
    std::size_t next = 0;
    for_each_offset(slot->view, [&](std::int64_t offset) {
      const double number = value->values[next++];
      write(host + offset * element_bytes, dtype, storage.rounded ? rounded_to_bf16(number) : number);
    });
  }
  slot->memory.upload(slot->before.data());
  slots_.push_back(std::move(slot));
  return slots_.back()->view;
}

ConstView Stage::activation(const HostTensor& value) { return place("", next_activation(), value.shape, &value); }

ConstView Stage::weight(const HostTensor& value) { return place("", weight_storage(), value.shape, &value); }

ConstView Stage::ids(const std::vector<std::int32_t>& values) {
  const HostTensor tensor{{static_cast<std::int64_t>(values.size())}, {values.begin(), values.end()}};
  return place("", {DType::i32}, tensor.shape, &tensor);
}

View Stage::activation_out(std::string name, const Shape& shape) {
  return place(std::move(name), next_activation(), shape, nullptr);
}

View Stage::weight_out(std::string name, const Shape& shape) {
  return place(std::move(name), weight_storage(), shape, nullptr);
}

View Stage::activation_inout(std::string name, const HostTensor& before) {
  return place(std::move(name), next_activation(), before.shape, &before);
}

View Stage::weight_inout(std::string name, const HostTensor& before) {
  return place(std::move(name), weight_storage(), before.shape, &before);
}

Results Stage::finish() {
  backend_.synchronize();
  Results results;
  for (const auto& slot : slots_) {
    std::vector<std::byte> after(slot->before.size());
    slot->memory.download(after.data());
    if (!slot->name.empty()) {
      const auto element_bytes = static_cast<std::int64_t>(size_of(slot->view.dtype()));
      HostTensor value{slot->view.shape(), {}};
      for_each_offset(slot->view, [&](std::int64_t offset) {
        const std::int64_t place = (kGuardElements + offset) * element_bytes;
        value.values.push_back(read(after.data() + place, slot->view.dtype()));
        std::copy_n(slot->before.begin() + place, element_bytes, after.begin() + place);
      });
      results.push_back({slot->name, std::move(value), slot->view.dtype()});
    }
    const auto changed = std::mismatch(after.begin(), after.end(), slot->before.begin()).first;
    if (changed != after.end()) {
      ADD_FAILURE() << (slot->name.empty() ? "an input" : slot->name) << " " << to_string(slot->view.shape())
                    << ": wrote outside, at byte "
                    << changed - after.begin() -
                           kGuardElements * static_cast<std::int64_t>(size_of(slot->view.dtype()));
    }
  }
  return results;
}

Results results_of(Backend& backend, const OpCall& call, const StageOptions& options) {
  Stage stage(backend, options);
  call(stage);
  return stage.finish();
}

std::string first_gap(const Result& result, const HostTensor& want, const HostTensor& plain) {
  const HostTensor& got = result.value;
  if (got.shape != want.shape) return "shape " + to_string(got.shape) + ", want " + to_string(want.shape);
  double largest = 0.0;
  for (const double value : want.values) largest = std::isfinite(value) ? std::max(largest, std::fabs(value)) : largest;
  const double floor =
      largest *
      (result.dtype == DType::bf16 ? kBf16Roundoff : 2.0 * static_cast<double>(std::numeric_limits<float>::epsilon()));
  const std::vector<double> errors = distances(got, want);
  const std::vector<double> yardstick = distances(plain, want);
  for (const double share : {1.0, 0.999}) {
    const double bound = 2.0 * percentile(yardstick, share) + floor;
    if (percentile(errors, share) <= bound) continue;
    const auto broken = std::count_if(errors.begin(), errors.end(), [bound](double error) { return error > bound; });
    const auto first = std::find_if(errors.begin(), errors.end(), [bound](double error) { return error > bound; });
    const auto index = static_cast<std::size_t>(first - errors.begin());
    return "element " + std::to_string(index) + ": got " + text_of(got.values[index]) + ", want " +
           text_of(want.values[index]) + ", bound " + text_of(bound) + ", broken " + std::to_string(broken) + "/" +
           std::to_string(errors.size());
  }
  return "";
}

std::string first_difference(const HostTensor& got, const HostTensor& want) {
  if (got.shape != want.shape) return "shape " + to_string(got.shape) + ", want " + to_string(want.shape);
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    if (std::memcmp(&got.values[i], &want.values[i], sizeof(double)) == 0) continue;
    return "element " + std::to_string(i) + ": got " + text_of(got.values[i]) + ", want " + text_of(want.values[i]);
  }
  return "";
}

namespace {

// One bit per activation: all as the back end stores them, all in the accumulation type, and every second one.
std::vector<std::uint32_t> wide_masks(Types types) {
  switch (types) {
    case Types::narrow: return {0U};
    case Types::alike: return {0U, ~0U};
    default: return {0U, ~0U, 0x55555555U, 0xAAAAAAAAU};
  }
}

void expect_agreement_with_gaps(Backend& backend, const OpCall& call, const Bf16Agreement& bf16,
                                std::initializer_list<std::int64_t> row_gaps) {
  const bool is_bf16 = backend.dtype() == DType::bf16;
  const auto yardstick = yardstick_of(backend);
  for (const std::uint32_t wide : wide_masks(is_bf16 ? bf16.types : Types::narrow)) {
    const Results want = results_of(reference(), call, {.wide = wide, .rounded = is_bf16 && bf16.from_stored});
    const Results plain = results_of(*yardstick, call, {.wide = wide});
    for (const std::int64_t row_gap : row_gaps) {
      const Results got = results_of(backend, call, {.row_gap = row_gap, .wide = wide});
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(first_gap(got[i], want[i].value, plain[i].value), "")
            << got[i].name << ", row gap " << row_gap << ", wide activations " << wide;
      }
    }
  }
}

}  // namespace

std::unique_ptr<Backend> yardstick_of(const Backend& backend) {
  return backend.dtype() == DType::bf16 ? make_plain_bf16_backend() : make_ref_backend(DType::f32);
}

void expect_agreement(Backend& backend, const OpCall& call, const Bf16Agreement& bf16) {
  expect_agreement_with_gaps(backend, call, bf16, {0, 5});
}

void expect_dense_agreement(Backend& backend, const OpCall& call) {
  expect_agreement_with_gaps(backend, call, {}, {0});
}

void expect_same_bits(const Results& got, const Results& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(first_difference(got[i].value, want[i].value), "") << got[i].name;
  }
}

// With a step of 1e-5 the difference of two losses loses about 1e-16 / 1e-5 of their size to rounding and 1e-10 of the
// third derivative to truncation: 1e-6 of the largest gradient covers both for losses and slopes near one.
void expect_gradients(const std::function<double(const std::vector<HostTensor>&)>& loss, std::vector<HostTensor> inputs,
                      const std::vector<HostTensor>& analytic) {
  constexpr double kStep = 1e-5;
  for (std::size_t input = 0; input < inputs.size(); ++input) {
    double largest = 1.0;
    for (const double value : analytic[input].values) largest = std::max(largest, std::fabs(value));
    for (std::size_t i = 0; i < inputs[input].values.size(); ++i) {
      double& value = inputs[input].values[i];
      const double kept = value;
      value = kept + kStep;
      const double above = loss(inputs);
      value = kept - kStep;
      const double below = loss(inputs);
      value = kept;
      ASSERT_NEAR(analytic[input].values[i], (above - below) / (2.0 * kStep), 1e-6 * largest)
          << "input " << input << ", element " << i;
    }
  }
}

double inner_product(const HostTensor& a, const HostTensor& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.values.size(); ++i) sum += a.values[i] * b.values[i];
  return sum;
}

std::string contract_message(const std::function<void()>& call) {
  try {
    call();
  } catch (const ContractError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no ContractError was thrown";
  return "";
}

std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets{0};
  for (const std::int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

void BackendSuite::SetUp() {
  if (!GetParam().on_gpu || why_no_gpu().empty()) return;
  if (gpu_is_required()) FAIL() << why_no_gpu();
  GTEST_SKIP() << why_no_gpu();
}

double BackendSuite::near(double otherwise, double size) {
  return backend().dtype() == DType::bf16 ? std::max(otherwise, 2.0 * kBf16Roundoff * std::fabs(size)) : otherwise;
}

std::vector<double> BackendSuite::stored(std::vector<double> values) {
  if (backend().dtype() == DType::bf16) std::transform(values.begin(), values.end(), values.begin(), rounded_to_bf16);
  return values;
}

void BackendSuite::expect_same_bits_for_any_threads(const OpCall& call) {
  if (GetParam().name == "ref") return;  // it has one thread, and is slow
  const auto alone = GetParam().make(1);
  const Results want = results_of(*alone, call);
  for (const int threads : {2, 3, 7}) {
    const auto team = GetParam().make(threads);
    expect_same_bits(results_of(*team, call), want);
  }
}

Backend& reference() {
  static const std::unique_ptr<Backend> backend = make_ref_backend();
  return *backend;
}

}  // namespace strandline::test
