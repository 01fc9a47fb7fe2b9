#include "io/hdf5/filters.hpp"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace strandline::hdf5 {
namespace {

constexpr int kDeflate = 1;
constexpr int kShuffle = 2;
constexpr int kFletcher = 3;
constexpr int kLzf = 32000;
constexpr std::size_t kChecksumBytes = 4;

using Bytes = std::vector<std::byte>;

std::string name_of_filter(int id) {
  switch (id) {
    case 4: return "szip";
    case 5: return "n-bit";
    case 6: return "scale-offset";
    case 32001: return "Blosc";
    case 32004: return "LZ4";
    case 32008: return "bitshuffle";
    case 32015: return "Zstandard";
    case 32026: return "Blosc2";
    default: return "number " + std::to_string(id);
  }
}

bool is_known(int id) { return id == kDeflate || id == kShuffle || id == kFletcher || id == kLzf; }

bool inflate_into(const Bytes& in, Bytes& out) {
  uLongf size = out.size();
  const int status = uncompress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(in.data()),
                                static_cast<uLong>(in.size()));
  out.resize(size);
  return status == Z_OK;
}

// LibLZF's format: runs of letters, and copies of what came up to 8 KiB before.
bool expand_lzf(const Bytes& in, Bytes& out) {
  const std::size_t most = out.size();
  out.clear();
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(in[i]); };
  for (std::size_t i = 0; i < in.size();) {
    const std::size_t control = at(i++);
    if (control < 32) {
      const std::size_t run = control + 1;
      if (run > in.size() - i || run > most - out.size()) return false;
      out.insert(out.end(), in.begin() + static_cast<std::ptrdiff_t>(i),
                 in.begin() + static_cast<std::ptrdiff_t>(i + run));
      i += run;
      continue;
    }
    std::size_t length = control >> 5U;
    if (length == 7 && i < in.size()) length += at(i++);
    if (i == in.size()) return false;
    const std::size_t back = ((control & 31U) << 8U | at(i++)) + 1;
    length += 2;
    if (back > out.size() || length > most - out.size()) return false;
    for (std::size_t k = 0; k < length; ++k) out.push_back(out[out.size() - back]);
  }
  return true;
}

Bytes unshuffle(const Bytes& in, std::size_t element_bytes) {
  if (element_bytes < 2) return in;
  Bytes out(in.size());
  const std::size_t elements = in.size() / element_bytes;
  for (std::size_t byte = 0; byte < element_bytes; ++byte) {
    for (std::size_t i = 0; i < elements; ++i) out[i * element_bytes + byte] = in[byte * elements + i];
  }
  const auto rest = static_cast<std::ptrdiff_t>(elements * element_bytes);
  std::copy(in.begin() + rest, in.end(), out.begin() + rest);
  return out;
}

// HDF5's variant: words of two bytes, the first the upper one; an odd last byte counts as an upper one.
std::uint32_t fletcher32(const std::byte* data, std::size_t size_bytes) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  for (std::size_t i = 0; i < size_bytes; i += 2) {
    const auto upper = std::to_integer<std::uint32_t>(data[i]);
    const auto lower = i + 1 < size_bytes ? std::to_integer<std::uint32_t>(data[i + 1]) : 0U;
    low = (low + (upper << 8U | lower)) % 65535U;
    high = (high + low) % 65535U;
  }
  return high << 16U | low;
}

bool strip_checksum(Bytes& bytes) {
  if (bytes.size() < kChecksumBytes) return false;
  const std::size_t size = bytes.size() - kChecksumBytes;
  std::uint32_t stored = 0;
  for (std::size_t i = 0; i < kChecksumBytes; ++i) stored |= std::to_integer<std::uint32_t>(bytes[size + i]) << (8 * i);
  const bool same = fletcher32(bytes.data(), size) == stored;
  bytes.resize(size);
  return same;
}

}  // namespace

std::vector<Filter> parse_filters(const Metadata& metadata, std::optional<Cursor> message) {
  std::vector<Filter> filters;
  if (!message) return filters;
  const int version = message->u8();
  const int count = message->u8();
  if (version != 1 && version != 2) message->fail("a filter message of version " + std::to_string(version));
  if (version == 1) message->skip(6);
  for (int i = 0; i < count; ++i) {
    Filter filter;
    filter.id = message->u16();
    const bool named = version == 1 || filter.id >= 256;
    const auto name_bytes = static_cast<std::size_t>(named ? message->u16() : 0);
    message->skip(2);
    const int settings = message->u16();
    message->skip(version == 1 ? (name_bytes + 7) / 8 * 8 : name_bytes);
    for (int k = 0; k < settings; ++k) filter.settings.push_back(message->u32());
    if (version == 1 && settings % 2 == 1) message->skip(4);
    if (!is_known(filter.id)) {
      throw DataError(
          {.file = metadata.file().path()},
          "its data are packed by the HDF5 filter " + name_of_filter(filter.id) + ", which this program lacks",
          "Write the file again without compression or with gzip, for instance by h5repack -f GZIP=1");
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

std::vector<std::byte> undo_filters(const Metadata& metadata, const std::vector<Filter>& filters, StoredChunk chunk,
                                    std::int64_t size_bytes) {
  Bytes bytes = std::move(chunk.bytes);
  const std::size_t most = static_cast<std::size_t>(size_bytes) + kChecksumBytes * filters.size();
  for (std::size_t i = filters.size(); i-- > 0;) {
    if (i < 32 && (chunk.skipped_filters >> i & 1U) != 0) continue;
    const Filter& filter = filters[i];
    bool sound = true;
    if (filter.id == kShuffle) {
      bytes = unshuffle(bytes, filter.settings.empty() ? 1 : static_cast<std::size_t>(filter.settings[0]));
    } else if (filter.id == kFletcher) {
      sound = strip_checksum(bytes);
    } else {
      Bytes out(most);
      sound = filter.id == kDeflate ? inflate_into(bytes, out) : expand_lzf(bytes, out);
      bytes = std::move(out);
    }
    if (!sound) metadata.fail("a chunk of its data cannot be unpacked or does not match its checksum");
  }
  if (std::cmp_not_equal(bytes.size(), size_bytes))
    metadata.fail("a chunk of its data has another size than it should");
  return bytes;
}

}  // namespace strandline::hdf5
