#include "core/tensor/host_copy.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace strandline {
namespace {

void check(const char* what, ConstView tensor, std::size_t count) {
  if (!tensor.is_dense() || std::cmp_not_equal(count, tensor.elements())) {
    throw ContractError(std::string(what) + ": tensor " + to_string(tensor.shape()) +
                        (tensor.is_dense() ? "" : " (not dense)") + " and " + std::to_string(count) +
                        " host values do not match");
  }
}

std::size_t bytes_of(ConstView tensor) { return static_cast<std::size_t>(tensor.elements()) * size_of(tensor.dtype()); }

template <class Host>
void upload(Memory& memory, std::span<const Host> host, View to) {
  using Other = std::conditional_t<std::is_same_v<Host, float>, double, float>;
  check("upload_values", to, host.size());
  if (to.dtype() == dtype_of<Host>()) return memory.upload(to.data(), host.data(), bytes_of(to));
  std::vector<Other> converted(host.size());
  std::transform(host.begin(), host.end(), converted.begin(), [](Host value) { return static_cast<Other>(value); });
  memory.upload(to.as<Other>(), converted.data(), bytes_of(to));
}

template <class Host>
void download(Memory& memory, ConstView from, std::span<Host> host) {
  using Other = std::conditional_t<std::is_same_v<Host, float>, double, float>;
  check("download_values", from, host.size());
  if (from.dtype() == dtype_of<Host>()) return memory.download(host.data(), from.data(), bytes_of(from));
  std::vector<Other> converted(host.size());
  memory.download(converted.data(), from.as<Other>(), bytes_of(from));
  std::transform(converted.begin(), converted.end(), host.begin(),
                 [](Other value) { return static_cast<Host>(value); });
}

}  // namespace

void upload_values(Memory& memory, std::span<const float> host, View to) { upload(memory, host, to); }
void upload_values(Memory& memory, std::span<const double> host, View to) { upload(memory, host, to); }
void download_values(Memory& memory, ConstView from, std::span<float> host) { download(memory, from, host); }
void download_values(Memory& memory, ConstView from, std::span<double> host) { download(memory, from, host); }

void copy_dense(Memory& memory, ConstView from, View to) {
  check("copy_dense", to, static_cast<std::size_t>(from.elements()));
  if (!from.is_dense() || from.dtype() != to.dtype()) {
    throw ContractError("copy_dense: " + to_string(from.shape()) + " of " + std::string(name_of(from.dtype())) +
                        " must be dense and of type " + std::string(name_of(to.dtype())));
  }
  memory.copy(to.data(), from.data(), bytes_of(to));
}

}  // namespace strandline
