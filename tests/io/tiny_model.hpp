// A model small enough to damage a thousand times.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "io/model_file/model_file.hpp"

namespace strandline::testing {

template <class T>
NamedTensor tensor_of(const std::string& name, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  NamedTensor tensor{.name = name, .dtype = dtype_of<T>(), .shape = std::move(shape)};
  tensor.data.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

/// Every element type, a scalar and an empty tensor.
inline ModelFile tiny_model() {
  ModelFile model{.config_json = "{\"d_model\": 2}", .metadata_json = "{\"classes\": [\"a\", \"b\"]}"};
  model.tensors.push_back(
      tensor_of<float>("backbone.layers.0.mixer.in_proj.weight", {2, 3}, {1, -2, 3.5F, 0, 1e-30F, 6}));
  model.tensors.push_back(tensor_of<double>("a.f64", {1}, {0.1}));
  model.tensors.push_back(tensor_of<Bf16>("b.bf16", {3}, {to_bf16(1.0F), to_bf16(-2.5F), to_bf16(3e38F)}));
  model.tensors.push_back(tensor_of<std::int32_t>("c.i32", {2}, {-1, 7}));
  model.tensors.push_back(tensor_of<std::int64_t>("d.i64", {1, 1, 2}, {-1, 1LL << 60}));
  model.tensors.push_back(tensor_of<std::uint8_t>("e.u8", {4}, {0, 1, 2, 255}));
  model.tensors.push_back(tensor_of<float>("step", {}, {17}));
  model.tensors.push_back(tensor_of<float>("none", {0, 5}, {}));
  return model;
}

inline bool same_tensors(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].dtype != b[i].dtype || a[i].shape != b[i].shape || a[i].data != b[i].data)
      return false;
  }
  return true;
}

}  // namespace strandline::testing
