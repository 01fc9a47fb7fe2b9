#include <array>
#include <bit>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "io/features/embedding_file_parts.hpp"

namespace strandline::features {
namespace {

static_assert(std::endian::native == std::endian::little);

// Version 1.0: magic, version, length of what follows, a Python literal padded with spaces. 128 bytes hold any two
// sizes.
std::string header_of(std::int64_t rows, std::int64_t width) {
  constexpr std::size_t kHeaderBytes = 128;
  std::string header("\x93NUMPY\x01\x00", 8);
  const std::size_t length = kHeaderBytes - 10;
  header += static_cast<char>(length & 255U);
  header += static_cast<char>(length >> 8U);
  header += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
            std::to_string(width) + "), }";
  header.resize(kHeaderBytes - 1, ' ');
  return header + '\n';
}

class NpyWriter final : public EmbeddingWriter {
 public:
  NpyWriter(const std::string& path, const EmbeddingInfo& info)
      : width_(info.width), values_(path), ids_(path + ".ids.txt") {
    values_.write(header_of(0, width_));
  }

  void append(std::string_view id, std::span<const float> values) override {
    if (std::cmp_not_equal(values.size(), width_))
      throw ContractError("EmbeddingWriter: a row of another width: " + values_.path());
    require_usable_id(id, values_.path());
    values_.write(values.data(), values.size_bytes());
    ids_.write(id);
    ids_.write("\n");
    ++rows_;
  }

  void commit() override {
    const std::string header = header_of(rows_, width_);
    values_.overwrite(0, header.data(), header.size());
    ids_.commit();
    values_.commit();
  }

 private:
  std::int64_t width_;
  std::int64_t rows_ = 0;
  OutputFile values_;
  OutputFile ids_;
};

}  // namespace

std::unique_ptr<EmbeddingWriter> make_npy_writer(const std::string& path, const EmbeddingInfo& info) {
  return std::make_unique<NpyWriter>(path, info);
}

}  // namespace strandline::features
