// A new HDF5 file of datasets that grow by rows, whole or absent. Internal to io.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/bytes/output_file.hpp"
#include "io/hdf5/file_driver.hpp"

namespace strandline::hdf5 {

enum class Packing : std::uint8_t { none, deflated };

/// Large enough for fast reading, small enough to fit HDF5's cache of chunks (1 MiB), so that whole chunks pass
/// straight through.
std::int64_t rows_per_chunk(std::int64_t row_bytes);

/// UTF-8 text of a fixed width, padded with NUL.
Handle text_type(std::size_t width_bytes);

/// @throws IoError naming the file; after an error nothing is retried. One thread at a time. Callers close the handles
/// they were given before commit() or destruction, in silence (see Silence).
class FileWriter {
 public:
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// No rows yet; `row` are the sizes of one, empty for a list of scalars.
  Handle create(const char* name, hid_t type, std::span<const std::int64_t> row, std::int64_t chunk_rows,
                Packing packing = Packing::none);
  /// Rows [begin, begin + count), with which the dataset grows.
  void write_rows(const Handle& dataset, hid_t type, std::int64_t begin, std::int64_t count, const void* data);

  /// On the whole file when `object` is file().
  void add_text(const Handle& object, const char* name, const std::string& text);
  void add_integers(const Handle& object, const char* name, std::span<const std::int64_t> values);
  void add_numbers(const Handle& object, const char* name, std::span<const double> values);
  const Handle& file() const { return file_; }

  /// Flushes, closes and gives the file its final name.
  void commit();
  /// Throws IoError unless `done` and all bytes so far could be written.
  void require(bool done);
  const std::string& path() const { return output_.path(); }

 private:
  void add(const Handle& object, const char* name, const Handle& type, const Handle& space, const void* data);

  OutputFile output_;
  FileBytes bytes_;
  Handle file_;
};

}  // namespace strandline::hdf5
