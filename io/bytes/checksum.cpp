#include "io/bytes/checksum.hpp"

#include <algorithm>
#include <bit>
#include <boost/crc.hpp>
#include <cstring>
#include <vector>

#include "io/bytes/input_file.hpp"

namespace strandline {
namespace {

using Castagnoli = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

// First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::size_t kBlockBytes = 64;

}  // namespace

void Crc32c::update(const void* data, std::size_t size_bytes) {
  Castagnoli crc(remainder_);
  crc.process_bytes(data, size_bytes);
  remainder_ = crc.get_interim_remainder();
}

std::uint32_t Crc32c::value() const { return Castagnoli(remainder_).checksum(); }

std::uint32_t crc32c(const void* data, std::size_t size_bytes) {
  Crc32c crc;
  crc.update(data, size_bytes);
  return crc.value();
}

Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::update(const void* data, std::size_t size_bytes) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  while (size_bytes > 0) {
    const std::size_t filled = size_bytes_ % kBlockBytes;
    if (filled == 0 && size_bytes >= kBlockBytes) {
      compress(bytes);
      bytes += kBlockBytes;
      size_bytes -= kBlockBytes;
      size_bytes_ += kBlockBytes;
      continue;
    }
    const std::size_t take = std::min(size_bytes, kBlockBytes - filled);
    std::memcpy(pending_.data() + filled, bytes, take);
    bytes += take;
    size_bytes -= take;
    size_bytes_ += take;
    if (size_bytes_ % kBlockBytes == 0) compress(pending_.data());
  }
}

void Sha256::compress(const std::uint8_t* block) {
  std::array<std::uint32_t, 64> w;
  for (std::size_t i = 0; i < 16; ++i) {
    w[i] = std::uint32_t{block[4 * i]} << 24U | std::uint32_t{block[4 * i + 1]} << 16U |
           std::uint32_t{block[4 * i + 2]} << 8U | std::uint32_t{block[4 * i + 3]};
  }
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3U);
    const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10U);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRoundConstants[i] + w[i];
    const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < added.size(); ++i) state_[i] += added[i];
}

std::string Sha256::hex_digest() const {
  Sha256 last = *this;
  // One bit, zeros, and the length in bits as a big-endian number that ends a block.
  const std::size_t filled = size_bytes_ % kBlockBytes;
  std::array<std::uint8_t, 2 * kBlockBytes> tail{};
  tail[0] = 0x80;
  const std::size_t tail_bytes = (filled < 56 ? kBlockBytes : 2 * kBlockBytes) - filled;
  for (std::size_t i = 0; i < 8; ++i) {
    tail[tail_bytes - 1 - i] = static_cast<std::uint8_t>((size_bytes_ * 8U) >> (8U * i));
  }
  last.update(tail.data(), tail_bytes);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::uint32_t word : last.state_) {
    for (int shift = 28; shift >= 0; shift -= 4) hex += kDigits[(word >> static_cast<unsigned>(shift)) & 15U];
  }
  return hex;
}

std::string sha256(const void* data, std::size_t size_bytes) {
  Sha256 hash;
  hash.update(data, size_bytes);
  return hash.hex_digest();
}

std::string sha256_of_file(const std::string& path) {
  const InputFile file(path);
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  for (std::int64_t offset = 0; offset < file.size_bytes();) {
    const auto take = static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(buffer.size()), file.size_bytes() - offset));
    file.read_at(offset, buffer.data(), take);
    hash.update(buffer.data(), take);
    offset += static_cast<std::int64_t>(take);
  }
  return hash.hex_digest();
}

}  // namespace strandline
