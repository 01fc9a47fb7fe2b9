// Checksums: CRC-32C against accidents, SHA-256 to name content.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace strandline {

/// CRC-32C (Castagnoli), as in iSCSI and ext4: "123456789" gives e3069283.
class Crc32c {
 public:
  void update(const void* data, std::size_t size_bytes);
  std::uint32_t value() const;

 private:
  std::uint32_t remainder_ = 0xffffffffU;
};

std::uint32_t crc32c(const void* data, std::size_t size_bytes);

/// SHA-256 (FIPS 180-4), in plain C++.
class Sha256 {
 public:
  Sha256();
  void update(const void* data, std::size_t size_bytes);
  /// 64 lower-case hexadecimal digits of everything so far; more may follow.
  std::string hex_digest() const;

 private:
  void compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_;
  std::array<std::uint8_t, 64> pending_{};
  std::uint64_t size_bytes_ = 0;
};

std::string sha256(const void* data, std::size_t size_bytes);

/// Of a file's bytes as they lie on disk. @throws IoError.
std::string sha256_of_file(const std::string& path);

}  // namespace strandline
