// The safetensors format, read strictly: for weights that come from strangers.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/model_file/named_tensor.hpp"

namespace strandline {

struct SafetensorsFile {
  std::map<std::string, std::string> metadata;  ///< the "__metadata__" entry
  std::vector<NamedTensor> tensors;             ///< ordered by name when read
};

struct SafetensorsOptions {
  /// Give F64, F16 and BF16 tensors as f32. F64 is rounded to nearest; the others are exact. F16 becomes f32 in any
  /// case.
  bool floats_to_f32 = true;
};

/// Strict: header of at most 100,000,000 bytes that starts with '{', no key twice, at most 100,000 tensors of rank at
/// most 8, offsets contiguous from 0 without overlap or hole and ending with the file, sizes computed without overflow.
/// Reads with pread, so a file that shrinks meanwhile is an error and not a signal. Reads F64 F32 F16 BF16 I64 I32 U8;
/// a tensor of another type is refused by name.
/// @throws IoError (missing, unreadable), DataError naming the file, the tensor and the fault.
SafetensorsFile read_safetensors(const std::string& path, const SafetensorsOptions& options = {});

/// The same from memory; `name` stands for the file in messages.
SafetensorsFile read_safetensors(std::span<const std::byte> bytes, const std::string& name,
                                 const SafetensorsOptions& options = {});

/// Whole or absent, as OutputFile. The data begin at a multiple of 8 bytes; tensors are laid out widest element type
/// first, then by name, as the common writers do, so that every tensor is aligned.
/// @throws ContractError (inconsistent tensor, repeated name, the reserved name "__metadata__"), NumericError, IoError.
void write_safetensors(const std::string& path, const SafetensorsFile& file);

}  // namespace strandline
