// Any bytes, as a pickle: read without running anything, or a DataError. Deeper than fuzz_feature_bag gets through zip.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/base/error.hpp"
#include "io/features/torch_pickle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto result = strandline::features::read_pickle(std::as_bytes(std::span(data, size)), "fuzz");
    if (result.size_bytes > size) std::abort();
  } catch (const strandline::DataError&) {
  }
  return 0;
}
