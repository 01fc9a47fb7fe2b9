// The pickle of a bare PyTorch tensor, read by a machine that can do nothing else. Internal to io/features.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace strandline::features {

/// torch.FloatStorage and its like, and where its numbers are.
struct TorchStorage {
  std::string type;  ///< "FloatStorage"
  std::string key;   ///< name of the data
  std::int64_t elements = 0;
};

struct TorchTensor {
  TorchStorage storage;
  std::int64_t offset = 0;  ///< elements
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

/// What a pickle is, as far as it is needed: a tensor, an integer, texts, or a flat dictionary.
struct PickleResult {
  std::variant<std::monostate, std::int64_t, TorchTensor, std::vector<std::string>, std::map<std::string, std::int64_t>>
      value;
  std::string kind;            ///< in words, for messages: "a dictionary"
  std::size_t size_bytes = 0;  ///< of the pickle: what follows it begins here
};

/// Nothing is run and nothing is imported. Of the opcodes, those that a tensor, a list of texts or a dictionary of
/// numbers need; of the names, torch._utils._rebuild_tensor(_v2), torch.*Storage and collections.OrderedDict. Every
/// other opcode and name is refused by its name. Memory and time follow from the length of the pickle.
/// @param file stands for the origin in messages. @throws DataError.
PickleResult read_pickle(std::span<const std::byte> bytes, const std::string& file);

}  // namespace strandline::features
