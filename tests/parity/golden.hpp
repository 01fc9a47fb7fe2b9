// Reading golden files, and how far a result is from one.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "io/model_file/safetensors.hpp"

namespace strandline::golden {

using Tensors = std::map<std::string, NamedTensor>;

inline std::string path(const std::string& model, const std::string& file) {
  return std::string(STRANDLINE_GOLDEN_DIR) + "/" + model + "/" + file;
}

inline Tensors read(const std::string& file) {
  Tensors tensors;
  for (NamedTensor& tensor : read_safetensors(file).tensors) tensors[tensor.name] = std::move(tensor);
  return tensors;
}

template <class T>
std::span<const T> values_of(const NamedTensor& tensor) {
  return {reinterpret_cast<const T*>(tensor.data.data()), tensor.data.size() / sizeof(T)};
}

/// Largest difference, relative to the largest value; infinity when a number is not finite or the counts differ.
inline double relative_error(std::span<const double> got, std::span<const float> want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    difference = std::max(difference, std::abs(got[i] - static_cast<double>(want[i])));
  }
  return largest > 0 ? difference / largest : difference;
}

}  // namespace strandline::golden
