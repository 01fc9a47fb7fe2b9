// What the suites of the operations share: the back ends, tensors in double on the host, the stage that carries them to
// a back end between guard bands and back, and the bound that every back end must keep.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend.hpp"
#include "core/base/error.hpp"
#include "core/tensor/buffer.hpp"

namespace strandline::test {

/// A back end by name. `make` takes a number of threads, which only some have a use for.
struct BackendCase {
  std::string name;
  std::function<std::unique_ptr<Backend>(int threads)> make;
  bool on_gpu = false;

  friend std::ostream& operator<<(std::ostream& out, const BackendCase& each) { return out << each.name; }
};

/// "ref", the CPU with every instruction set that this machine has: "cpu_baseline", "cpu_avx2", ...; "bf16_storage",
/// the CPU behind tensors of bf16; "cuda" and "cuda_bf16".
const std::vector<BackendCase>& back_ends();

std::string name_of_case(const ::testing::TestParamInfo<BackendCase>& info);

/// Dense, row-major, in double; made of numbers that float holds exactly, so that every back end sees the same.
struct HostTensor {
  Shape shape;
  std::vector<double> values;

  std::int64_t elements() const { return static_cast<std::int64_t>(values.size()); }
  /// Rows [begin, end) of the first axis.
  HostTensor rows(std::int64_t begin, std::int64_t end) const;
};

HostTensor tensor_of(const Shape& shape, std::vector<double> values);
HostTensor zeros(const Shape& shape);
/// Normal draws. `stream` tells tensors of one test apart.
HostTensor normal(const Shape& shape, std::uint64_t stream, double mean = 0.0, double spread = 1.0);

struct Result {
  std::string name;
  HostTensor value;
  DType dtype = DType::f64;  ///< what it was stored in
};
using Results = std::vector<Result>;

const Result& result_named(const Results& results, std::string_view name);
const HostTensor& named(const Results& results, std::string_view name);

struct StageOptions {
  std::int64_t row_gap = 0;  ///< elements after every row of the first axis
  /// Bit i: activation number i (modulo 32) is stored in the accumulation type, as a back end of bf16 must take it.
  std::uint32_t wide = 0;
  bool rounded = false;  ///< the numbers of activations that are not wide are rounded to bf16, whatever stores them
};

/// Tensors on a back end for one call of one operation. All memory that is not an input's element holds NaN: outputs
/// before they are written, 64 elements on both sides of every tensor, and the row gaps. finish() fails the test if any
/// of it, or any input, was written to.
class Stage {
 public:
  explicit Stage(Backend& backend, const StageOptions& options = {}) : backend_(backend), options_(options) {}

  Backend& backend() { return backend_; }
  ConstView activation(const HostTensor& value);
  ConstView weight(const HostTensor& value);
  ConstView ids(const std::vector<std::int32_t>& values);
  View activation_out(std::string name, const Shape& shape);
  View weight_out(std::string name, const Shape& shape);
  /// Outputs that hold something before: sums that are added to, operations in place.
  View activation_inout(std::string name, const HostTensor& before);
  View weight_inout(std::string name, const HostTensor& before);
  /// Waits, checks the guard bands, and returns the outputs in the order they were made.
  Results finish();

 private:
  struct Slot {
    std::string name;  ///< empty for an input
    Buffer memory;
    View view;
    std::vector<std::byte> before;
  };

  struct Storage {
    DType dtype;
    bool rounded = false;
  };

  Storage next_activation();
  Storage weight_storage() const { return {backend_.accumulate_dtype()}; }
  View place(std::string name, const Storage& storage, const Shape& shape, const HostTensor* value);

  Backend& backend_;
  StageOptions options_;
  std::uint32_t activations_ = 0;
  std::vector<std::unique_ptr<Slot>> slots_;
};

/// Puts inputs on the stage and calls the operation.
using OpCall = std::function<void(Stage&)>;

Results results_of(Backend& backend, const OpCall& call, const StageOptions& options = {});

/// "" when `got` keeps the bound around `want`, else the first element out of it and how many there are. The bound, on
/// the largest error and on its 99.9th percentile: twice the error of `plain`, the loops of the reference in single
/// precision, plus two units in the last place of the largest number in `want`. Of a result that is stored in bf16:
/// plus the error of rounding that number once, which no result can do without.
std::string first_gap(const Result& got, const HostTensor& want, const HostTensor& plain);

/// The back end that `plain` comes from: the reference in float, or, for a back end of bf16, plain loops in float
/// around tensors of bf16 (make_plain_bf16_backend).
std::unique_ptr<Backend> yardstick_of(const Backend& backend);

/// "" when both hold the same bits (NaN alike), else the first difference.
std::string first_difference(const HostTensor& got, const HostTensor& want);

enum class Types : std::uint8_t {
  mixed,   ///< each activation on its own in bf16 or in the accumulation type
  alike,   ///< all activations in one of them
  narrow,  ///< all in bf16
};

/// What a back end of bf16 is asked for; the others have one type and pass these over.
struct Bf16Agreement {
  Types types = Types::mixed;
  /// The reference gets the numbers as they are stored. If not, it gets them as they were before they were rounded: for
  /// operations whose plain version does not round all that a fast one must round, the error of rounding the inputs
  /// stands in for it.
  bool from_stored = true;
};

/// Runs on the reference in double, on the yardstick and on `backend`, with dense and with strided rows.
void expect_agreement(Backend& backend, const OpCall& call, const Bf16Agreement& bf16 = {});

/// The same with dense rows only, for operations that ask for them.
void expect_dense_agreement(Backend& backend, const OpCall& call);

void expect_same_bits(const Results& got, const Results& want);

/// Gradients by central differences, on the reference in double. `loss` takes the inputs; analytic[i] belongs to
/// inputs[i].
void expect_gradients(const std::function<double(const std::vector<HostTensor>&)>& loss, std::vector<HostTensor> inputs,
                      const std::vector<HostTensor>& analytic);

/// Sum of a * b: turns an output into a loss whose gradient with respect to it is b.
double inner_product(const HostTensor& a, const HostTensor& b);

/// The message of the ContractError that `call` throws; fails the test when it throws none.
std::string contract_message(const std::function<void()>& call);

/// Offsets of sequences with these lengths.
std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& lengths);

/// Skips by name where there is no GPU; with STRANDLINE_REQUIRE_GPU in the environment that is a failure.
class BackendSuite : public ::testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override;
  Backend& backend() {
    if (!backend_) backend_ = GetParam().make(2);
    return *backend_;
  }
  /// How far an activation may be from `size`, worked out by hand: `otherwise`, unless activations are in bf16, where
  /// an input and the output of this size have been rounded.
  double near(double otherwise, double size);
  /// Exact results as activations hold them.
  std::vector<double> stored(std::vector<double> values);
  /// Same bits with 1, 2, 3 and 7 threads; the reference has one and is left out.
  void expect_same_bits_for_any_threads(const OpCall& call);

 private:
  std::unique_ptr<Backend> backend_;
};

/// The reference in double.
Backend& reference();

}  // namespace strandline::test
