// The formats behind feature_bag.hpp. Internal to io/features.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/bytes/element_type.hpp"
#include "io/bytes/input_file.hpp"
#include "io/features/feature_bag.hpp"

namespace strandline::features {

/// Rows of numbers in a file, one after another.
struct RawMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_stride = 0;  ///< elements from one row to the next
  std::int64_t offset = 0;      ///< byte of the first element in the file
  ElementType type;
};

/// N x D for shapes (N, D) and (1, N, D); (0,) is an empty slide. @throws DataError for others.
void require_bag_shape(const std::vector<std::int64_t>& shape, const std::string& file, RawMatrix& out);

/// Throws unless the rows lie in the file.
void require_within(const InputFile& file, const RawMatrix& matrix);

/// Rows [begin, begin + count), packed, as they lie in the file.
std::vector<std::byte> read_raw_rows(const InputFile& file, const RawMatrix& matrix, std::int64_t begin,
                                     std::int64_t count);

/// @throws DataError naming patch and feature of the first number that is not finite.
void require_finite(const float* values, std::int64_t begin, std::int64_t count, const BagReader& bag,
                    const std::string& file);

/// Where the numbers of a .npy file are. @throws DataError.
RawMatrix parse_npy(const InputFile& file);
/// The same for bytes in memory (a member of an .npz); the offset counts from their begin.
RawMatrix parse_npy(const std::vector<std::byte>& bytes, const std::string& name);

/// Where the numbers of a bare tensor are, in either form of PyTorch's files.
RawMatrix locate_torch_tensor(const InputFile& file, std::string& layout);

/// Rows of two numbers, whatever their type. @throws DataError for one that is not finite.
std::vector<PatchCoordinate> to_coordinates(const RawMatrix& matrix, const std::byte* from, const std::string& file);

std::unique_ptr<BagReader> open_hdf5_bag(const std::string& path);
std::unique_ptr<BagReader> open_raw_bag(const std::string& path, const BagOptions& options);

/// Coordinates in an HDF5 file. @throws DataError when it has none.
std::vector<PatchCoordinate> read_hdf5_coordinates(const std::string& path, BagInfo* info);
/// Locations in slideflow's `index.npz`.
std::vector<PatchCoordinate> read_npz_coordinates(const std::string& path);

bool is_hdf5(const InputFile& file);

}  // namespace strandline::features
