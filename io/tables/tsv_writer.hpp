// Tables out: tab-separated, the same bytes on every machine and in every locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes/output_file.hpp"

namespace strandline {

/// Shortest decimal that reads back as the same number: "0.1", "1e-09", "3". NaN is "NA", infinities are "inf" and
/// "-inf".
std::string format_shortest(double value);
/// The shortest decimal that reads back as the same *float*.
std::string format_shortest(float value);
/// Fixed number of digits after the point, rounded to nearest; never "-0.00". NaN is "NA".
std::string format_fixed(double value, int digits);

/// Writes fields in order, then end_row(). Whole or absent, as OutputFile; "-" is standard output.
/// A tab or a line end within a field becomes a space, so that a row stays a row.
/// @throws IoError; ContractError when a row has another number of fields than there are columns.
class TsvWriter {
 public:
  enum class Header { write, leave_out };  ///< a later shard leaves it out, so that shards can be concatenated

  TsvWriter(std::string path, std::vector<std::string> columns, Header header = Header::write);

  TsvWriter& field(std::string_view text);
  TsvWriter& field(std::int64_t value);
  TsvWriter& field(double value, int digits);
  /// "NA"
  TsvWriter& missing();
  void end_row();
  /// Gives the file its final name. No row may follow.
  void commit();

  const std::vector<std::string>& columns() const { return columns_; }

 private:
  void separate();

  OutputFile file_;
  std::vector<std::string> columns_;
  std::string row_;
  std::size_t fields_ = 0;
};

}  // namespace strandline
