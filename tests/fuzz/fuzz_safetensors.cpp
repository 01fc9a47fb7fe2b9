// Any bytes, as a safetensors file: tensors that are consistent, or a DataError.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.hpp"
#include "io/model_file/safetensors.hpp"

// The first byte chooses the conversion. A ContractError of require_consistent() would be a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const auto file = strandline::read_safetensors(std::as_bytes(std::span(data + 1, size - 1)), "fuzz",
                                                   {.floats_to_f32 = data[0] % 2 == 0});
    for (const strandline::NamedTensor& tensor : file.tensors) strandline::require_consistent(tensor);
  } catch (const strandline::DataError&) {
  }
  return 0;
}
