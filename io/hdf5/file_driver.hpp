// How HDF5 reaches the disk: through our own descriptors, so that the system's errors are ours to see. Internal to io.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5/handle.hpp"

namespace strandline::hdf5 {

/// The bytes below one open HDF5 file; must outlive it.
///
/// HDF5 1.10 does not survive a failed write: H5Dwrite reports success, a later close fails, and the process dies at
/// exit (a segmentation fault in H5_term_library). So HDF5 never sees one. The first failure is remembered in
/// error_number(), and what could not be written is kept in memory, where HDF5 finds it again, until the caller asks,
/// closes and throws. Callers ask after every write of theirs, which bounds what is kept by one piece and HDF5's own
/// caches.
///
/// No locks are taken: files of ours are never changed in place, and locking fails on some network file systems. There
/// is no way to open a file here: HDF5 1.10 crashes or hangs on damaged ones, so what this project reads it reads
/// without HDF5.
class FileBytes {
 public:
  /// Reads and writes `descriptor`, which the caller owns.
  explicit FileBytes(int descriptor) : descriptor_(descriptor) {}

  /// errno of the first write that failed; 0 while all is well.
  int error_number() const { return error_number_; }

  // For the driver's callbacks.
  bool read(std::int64_t offset, void* out, std::size_t size_bytes) const;
  void write(std::int64_t offset, const void* data, std::size_t size_bytes);
  void truncate(std::int64_t size_bytes);
  std::int64_t size_bytes() const;

 private:
  struct Lost {
    std::int64_t offset;
    std::vector<char> data;
  };

  void put(std::int64_t offset, const char* data, std::size_t size_bytes);

  int descriptor_;
  int error_number_ = 0;
  std::vector<Lost> lost_;
};

/// A new, empty HDF5 file over `bytes`, after `user_block_bytes` (0, or a power of two from 512) that HDF5 leaves
/// alone.
Handle create_file(FileBytes& bytes, std::int64_t user_block_bytes);

}  // namespace strandline::hdf5
