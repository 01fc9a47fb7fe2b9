// Matrix products by cuBLASLt: one algorithm for each kind of product, chosen once, whatever the number of rows.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/workspace.hpp"
#include "cuda/base/product.hpp"

namespace strandline::cuda {

/// What a choice of algorithm may depend on. Neither the number of tokens nor a stride is among it: a row of y has the
/// same bits in any pack.
struct MatmulKind {
  DType dtype = DType::f32;
  DType y_dtype = DType::f32;
  bool a_depth_is_dense = true;
  bool b_depth_is_dense = true;
  bool has_bias = false;
  std::int64_t rows = 0;  ///< 0 when tokens
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  auto operator<=>(const MatmulKind&) const = default;
};

/// Not thread-safe, as the context that owns it.
class Matmul {
 public:
  Matmul(cublasLtHandle_t handle, cudaStream_t stream, Workspace& scratch)
      : handle_(handle), stream_(stream), scratch_(scratch) {}

  /// Whether there is an algorithm for products of this kind; the first question chooses it. The answer does not depend
  /// on the number of tokens. Ask only for what blas_takes() allows.
  bool has_algorithm(const Product& product);
  /// Enqueues the product. @throws DeviceError when the library refuses, ContractError when there is no algorithm.
  void run(const Product& product);
  /// One line for each kind of product met so far.
  std::vector<std::string> chosen_algorithms() const;

 private:
  struct Choice {
    cublasLtMatmulAlgo_t algorithm{};
    std::size_t workspace_bytes = 0;
    std::string text;
  };
  const std::optional<Choice>& choice_for(const Product& product);
  std::optional<Choice> choose(const MatmulKind& kind) const;
  bool runs(const MatmulKind& kind, const Choice& choice) const;
  cublasStatus_t enqueue(const Product& product, const Choice& choice) const;

  cublasLtHandle_t handle_;
  cudaStream_t stream_;
  Workspace& scratch_;
  std::map<MatmulKind, std::optional<Choice>> choices_;
};

}  // namespace strandline::cuda
