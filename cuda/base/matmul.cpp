#include "cuda/base/matmul.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline::cuda {
namespace {

constexpr auto kWorkspaceBytes = static_cast<std::size_t>(kBlasWorkspaceBytes);
constexpr std::int64_t kTypicalRows = 16384;
constexpr std::int64_t kTypicalRanges = 16;
constexpr std::int64_t kMostRanges = 256;  // of a weight gradient in one call
constexpr std::uint32_t kAlignmentBytes = 16;
constexpr int kCandidates = 32;

void check_blas(cublasStatus_t status, const std::string& what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(what + ": " + cublasLtGetStatusString(status));
}

struct Destroy {
  void operator()(cublasLtMatmulDescOpaque_t* desc) const { cublasLtMatmulDescDestroy(desc); }
  void operator()(cublasLtMatrixLayoutOpaque_t* layout) const { cublasLtMatrixLayoutDestroy(layout); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* preference) const { cublasLtMatmulPreferenceDestroy(preference); }
};
template <class Opaque>
using Owned = std::unique_ptr<Opaque, Destroy>;

cudaDataType_t type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

struct LayoutShape {
  DType dtype;
  std::int64_t rows;  // of the column-major matrix: its dense axis
  std::int64_t columns;
  std::int64_t stride;
  std::int64_t ranges;
  std::int64_t range_stride;
};

Owned<cublasLtMatrixLayoutOpaque_t> make_layout(const LayoutShape& shape) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_blas(cublasLtMatrixLayoutCreate(&layout, type_of(shape.dtype), static_cast<std::uint64_t>(shape.rows),
                                        static_cast<std::uint64_t>(shape.columns), shape.stride),
             "describe a matrix to cuBLASLt");
  Owned<cublasLtMatrixLayoutOpaque_t> owned(layout);
  if (shape.ranges > 1) {
    const auto ranges = checked_cast<std::int32_t>(shape.ranges);
    check_blas(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &ranges, sizeof(ranges)),
               "describe a batch to cuBLASLt");
    check_blas(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                &shape.range_stride, sizeof(shape.range_stride)),
               "describe a batch to cuBLASLt");
  }
  return owned;
}

/// Rows of ours are columns of the library's, so it is asked for the transpose: y' = b a', with m our columns and n our
/// rows; its first matrix is our b.
Owned<cublasLtMatrixLayoutOpaque_t> layout_of(const Operand& operand, std::int64_t rows, const Product& product) {
  const std::int64_t depth = product.range_depth();
  return make_layout({.dtype = operand.dtype,
                      .rows = operand.depth_is_dense ? depth : rows,
                      .columns = operand.depth_is_dense ? rows : depth,
                      .stride = operand.stride,
                      .ranges = product.ranges(),
                      .range_stride = product.range * (operand.depth_is_dense ? 1 : operand.stride)});
}

template <class Value>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  check_blas(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof(value)), "describe a product to cuBLASLt");
}

Owned<cublasLtMatmulDescOpaque_t> make_desc(const Product& product) {
  cublasLtMatmulDesc_t desc = nullptr;
  check_blas(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product to cuBLASLt");
  Owned<cublasLtMatmulDescOpaque_t> owned(desc);
  set(desc, CUBLASLT_MATMUL_DESC_TRANSA, product.b.depth_is_dense ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(desc, CUBLASLT_MATMUL_DESC_TRANSB, product.a.depth_is_dense ? CUBLAS_OP_N : CUBLAS_OP_T);
  if (product.bias != nullptr) {
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    const void* bias = product.bias;
    set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  return owned;
}

struct Problem {
  explicit Problem(const Product& product)
      : desc(make_desc(product)),
        b(layout_of(product.b, product.columns, product)),
        a(layout_of(product.a, product.rows, product)),
        y(make_layout({.dtype = product.y_dtype,
                       .rows = product.columns,
                       .columns = product.rows,
                       .stride = product.y_stride,
                       .ranges = product.ranges(),
                       .range_stride = product.y_range_stride})) {}

  Owned<cublasLtMatmulDescOpaque_t> desc;
  Owned<cublasLtMatrixLayoutOpaque_t> b;
  Owned<cublasLtMatrixLayoutOpaque_t> a;
  Owned<cublasLtMatrixLayoutOpaque_t> y;
};

template <class Value>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
             "state a preference to cuBLASLt");
}

Owned<cublasLtMatmulPreferenceOpaque_t> make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference), "state a preference to cuBLASLt");
  Owned<cublasLtMatmulPreferenceOpaque_t> owned(preference);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignmentBytes);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignmentBytes);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignmentBytes);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignmentBytes);
  return owned;
}

MatmulKind kind_of(const Product& product) {
  return {.dtype = product.a.dtype,
          .y_dtype = product.y_dtype,
          .a_depth_is_dense = product.a.depth_is_dense,
          .b_depth_is_dense = product.b.depth_is_dense,
          .has_bias = product.bias != nullptr,
          .rows = product.a.depth_is_dense ? 0 : product.rows,
          .columns = product.columns,
          .depth = product.range_depth()};
}

/// A product of this kind with dense tensors. `tokens`: rows, or (a weight gradient) ranges of the depth. The library
/// reads alignments off the bias's address; any that is a multiple of 16 will do.
Product typical_product(const MatmulKind& kind, std::int64_t tokens) {
  const bool sums_over_tokens = kind.rows > 0;
  const std::int64_t rows = sums_over_tokens ? kind.rows : tokens;
  const std::int64_t ranges = sums_over_tokens ? tokens : 1;
  return {.a = {nullptr, kind.dtype, kind.a_depth_is_dense ? kind.depth : rows, kind.a_depth_is_dense},
          .b = {nullptr, kind.dtype, kind.b_depth_is_dense ? kind.depth : kind.columns, kind.b_depth_is_dense},
          .y_dtype = kind.y_dtype,
          .y_stride = kind.columns,
          .bias = kind.has_bias ? reinterpret_cast<const float*>(std::uintptr_t{kAlignmentBytes}) : nullptr,
          .rows = rows,
          .columns = kind.columns,
          .depth = kind.depth * ranges,
          .range = kind.depth,
          .y_range_stride = rows * kind.columns};
}

template <class Value>
Value setting(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  Value value{};
  std::size_t written = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof(value), &written);
  return status == CUBLAS_STATUS_SUCCESS ? value : Value{};
}

/// Each output in one sum over the depth, by one block: never cut into parts that meet elsewhere.
bool sums_whole_depth(const cublasLtMatmulAlgo_t& algorithm) {
  return setting<std::int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1 &&
         setting<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) == CUBLASLT_REDUCTION_SCHEME_NONE;
}

std::string text_of(const MatmulKind& kind, const cublasLtMatmulHeuristicResult_t& found) {
  const auto number = [&found](cublasLtMatmulAlgoConfigAttributes_t attribute) {
    return std::to_string(setting<std::int32_t>(found.algo, attribute));
  };
  const auto short_number = [&found](cublasLtMatmulAlgoConfigAttributes_t attribute) {
    return std::to_string(setting<std::uint16_t>(found.algo, attribute));
  };
  const std::string rows = kind.rows > 0 ? std::to_string(kind.rows) : "tokens";
  return "[" + rows + ", " + std::to_string(kind.depth) + "] x [" + std::to_string(kind.depth) + ", " +
         std::to_string(kind.columns) + "] " + std::string(name_of(kind.dtype)) + " -> " +
         std::string(name_of(kind.y_dtype)) + (kind.has_bias ? " + bias" : "") + ": cuBLASLt algorithm " +
         number(CUBLASLT_ALGO_CONFIG_ID) + ", tile " + number(CUBLASLT_ALGO_CONFIG_TILE_ID) + ", stages " +
         number(CUBLASLT_ALGO_CONFIG_STAGES_ID) + ", cluster " + short_number(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) +
         ", inner " + short_number(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID) + ", option " +
         number(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION) + ", workspace " + std::to_string(found.workspaceSize);
}

/// The library's candidates for a product of typical size, its best guess first.
std::vector<cublasLtMatmulHeuristicResult_t> candidates_for(cublasLtHandle_t handle, const Product& product) {
  const Problem problem(product);
  const auto preference = make_preference();
  std::vector<cublasLtMatmulHeuristicResult_t> found(kCandidates);
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle, problem.desc.get(), problem.b.get(), problem.a.get(), problem.y.get(),
                                     problem.y.get(), preference.get(), kCandidates, found.data(), &count);
  found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
  std::erase_if(found, [](const auto& one) { return one.state != CUBLAS_STATUS_SUCCESS; });
  return found;
}

struct Candidate {
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace_bytes = 0;  // what it will be given
};

/// Whether the algorithm also takes few and many tokens, and odd numbers of them.
bool takes_any_length(cublasLtHandle_t handle, const MatmulKind& kind, const Candidate& candidate) {
  const std::array<std::int64_t, 6> lengths{1, 2, 13, 200, 4097, 65536};
  return std::all_of(lengths.begin(), lengths.end(), [&](std::int64_t length) {
    if (kind.rows > 0 && length > kMostRanges) return true;
    const Problem problem(typical_product(kind, length));
    cublasLtMatmulHeuristicResult_t result{};
    const cublasStatus_t status =
        cublasLtMatmulAlgoCheck(handle, problem.desc.get(), problem.b.get(), problem.a.get(), problem.y.get(),
                                problem.y.get(), &candidate.algorithm, &result);
    return status == CUBLAS_STATUS_SUCCESS && result.state == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= candidate.workspace_bytes;
  });
}

}  // namespace

// Algorithms that need no workspace come first: partial sums would have to meet there, so none of those can cut the
// depth, whatever its settings say.
std::optional<Matmul::Choice> Matmul::choose(const MatmulKind& kind) const {
  const auto found = candidates_for(handle_, typical_product(kind, kind.rows > 0 ? kTypicalRanges : kTypicalRows));
  for (const std::size_t workspace_bytes : {std::size_t{0}, kWorkspaceBytes}) {
    for (const cublasLtMatmulHeuristicResult_t& one : found) {
      if (one.workspaceSize > workspace_bytes || !sums_whole_depth(one.algo)) continue;
      if (!takes_any_length(handle_, kind, {one.algo, workspace_bytes})) continue;
      const Choice choice{.algorithm = one.algo, .workspace_bytes = workspace_bytes, .text = text_of(kind, one)};
      if (runs(kind, choice)) return choice;
    }
  }
  return std::nullopt;
}

// The library's own check passes algorithms that it then refuses to run (seen with 13.1 on compute capability 9.0), so
// each is tried on a few rows, dense and strided, before it is relied on.
bool Matmul::runs(const MatmulKind& kind, const Choice& choice) const {
  constexpr std::int64_t kGap = kAlignmentBytes / 2;  // elements; keeps every row aligned in both types
  // Few ranges of a weight gradient: each is a thousand tokens and more.
  const std::array<std::int64_t, 3> lengths =
      kind.rows > 0 ? std::array<std::int64_t, 3>{1, 2, 3} : std::array<std::int64_t, 3>{1, 13, 200};
  for (const std::int64_t length : lengths) {
    for (const std::int64_t gap : {std::int64_t{0}, kGap}) {
      Product product = typical_product(kind, length);
      product.a.stride += gap;
      product.y_stride += gap;
      if (product.ranges() > 1) product.y_range_stride = product.rows * product.y_stride;
      const auto zeros = [&](DType dtype, std::int64_t rows, std::int64_t stride) {
        return scratch_.take_zeros(dtype, {rows, stride}).data();
      };
      const Workspace::Scope scope(scratch_);
      product.a.data = zeros(kind.dtype, kind.a_depth_is_dense ? product.rows : product.depth, product.a.stride);
      product.b.data = zeros(kind.dtype, kind.b_depth_is_dense ? product.columns : product.depth, product.b.stride);
      product.y = zeros(kind.y_dtype, product.rows * product.ranges(), product.y_stride);
      if (kind.has_bias) product.bias = static_cast<const float*>(zeros(DType::f32, 1, product.columns));
      for (const bool accumulate : {false, true}) {
        product.accumulate = accumulate;
        if (enqueue(product, choice) == CUBLAS_STATUS_SUCCESS) continue;
        cudaGetLastError();  // a refusal must not come up again at the next launch
        return false;
      }
    }
  }
  return true;
}

const std::optional<Matmul::Choice>& Matmul::choice_for(const Product& product) {
  const MatmulKind kind = kind_of(product);
  const auto known = choices_.find(kind);
  return known != choices_.end() ? known->second : choices_.emplace(kind, choose(kind)).first->second;
}

bool Matmul::has_algorithm(const Product& product) { return choice_for(product).has_value(); }

void Matmul::run(const Product& product) {
  const std::optional<Choice>& choice = choice_for(product);
  if (!choice) throw ContractError("linear: cuBLASLt has no algorithm for this product");
  check_blas(enqueue(product, *choice), "linear by cuBLASLt, " + choice->text);
}

cublasStatus_t Matmul::enqueue(const Product& product, const Choice& choice) const {
  const Problem problem(product);
  const Workspace::Scope scope(scratch_);
  void* workspace = choice.workspace_bytes == 0
                        ? nullptr
                        : scratch_.take(DType::u8, {static_cast<std::int64_t>(choice.workspace_bytes)}).data();
  const float alpha = 1.0F;
  const float beta = product.accumulate ? 1.0F : 0.0F;
  return cublasLtMatmul(handle_, problem.desc.get(), &alpha, product.b.data, problem.b.get(), product.a.data,
                        problem.a.get(), &beta, product.y, problem.y.get(), product.y, problem.y.get(),
                        &choice.algorithm, workspace, choice.workspace_bytes, stream_);
}

std::vector<std::string> Matmul::chosen_algorithms() const {
  std::vector<std::string> lines;
  for (const auto& [kind, choice] : choices_) {
    if (choice) lines.push_back(choice->text);
  }
  return lines;
}

}  // namespace strandline::cuda
