// What chunks of HDF5 datasets are passed through on their way to disk. Internal to io.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/hdf5/metadata.hpp"

namespace strandline::hdf5 {

struct Filter {
  int id = 0;  ///< 1 deflate, 2 shuffle, 3 Fletcher-32, 32000 LZF; others are refused
  std::vector<std::int64_t> settings;
};

/// @throws DataError for a filter that this program does not have, by its name.
std::vector<Filter> parse_filters(const Metadata& metadata, std::optional<Cursor> message);

struct StoredChunk {
  std::vector<std::byte> bytes;       ///< as on disk
  std::uint32_t skipped_filters = 0;  ///< bit i: filter i was not applied
};

/// Undoes the filters, last first. Memory is bounded by `size_bytes`, what the chunk must have in the end.
/// @throws DataError for damaged data or another size.
std::vector<std::byte> undo_filters(const Metadata& metadata, const std::vector<Filter>& filters, StoredChunk chunk,
                                    std::int64_t size_bytes);

}  // namespace strandline::hdf5
