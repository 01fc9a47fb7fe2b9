#include "io/model_file/model_file.hpp"

#include "io/bytes/checksum.hpp"
#include "io/model_file/model_file_parts.hpp"

namespace strandline {
namespace {

// Each part goes in with its length, so that no two models give the same bytes to the hash.
void add(Sha256& hash, const void* data, std::size_t size_bytes) {
  const auto length = static_cast<std::uint64_t>(size_bytes);
  hash.update(&length, sizeof(length));
  hash.update(data, size_bytes);
}

void add(Sha256& hash, std::string_view text) { add(hash, text.data(), text.size()); }

}  // namespace

std::string content_sha256(const ModelFile& model) {
  Sha256 hash;
  add(hash, model.config_json);
  for (const NamedTensor& tensor : model.tensors) {
    add(hash, tensor.name);
    add(hash, name_of(tensor.dtype));
    add(hash, tensor.shape.data(), tensor.shape.size() * sizeof(std::int64_t));
    add(hash, tensor.data.data(), tensor.data.size());
  }
  return hash.hex_digest();
}

}  // namespace strandline
