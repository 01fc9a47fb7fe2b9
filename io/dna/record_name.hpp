// The header lines of FASTA and FASTQ. Private to io.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace strandline {

/// Longer header lines are refused, so that a binary file cannot fill the memory.
inline constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;

/// The name in a header line that starts with '>' or '@': what follows up to the first white space (or 0x01, with which
/// NCBI joins headers). `start` is the place of the line. @throws DataError for an empty name and for control bytes.
inline std::string parse_record_name(std::string_view line, const FileLocation& start) {
  const auto refuse = [&](std::size_t column, const std::string& problem, const std::string& cure) {
    throw DataError({start.file, {}, start.line, start.byte_offset + static_cast<std::int64_t>(column)}, problem, cure);
  };
  std::size_t end = 1;
  while (end < line.size() && line[end] != ' ' && line[end] != '\t' && line[end] != '\x01') ++end;
  for (std::size_t column = 1; column < line.size(); ++column) {
    const auto byte = static_cast<unsigned char>(line[column]);
    if (byte == '\r')
      refuse(column, "a carriage return inside a header line",
             "Old Macintosh line ends are not read: convert them with tr '\\r' '\\n'");
    if (byte == 0 || (column < end && (byte < 0x20 || byte == 0x7f))) {
      refuse(column, "a control byte in a header line",
             "The file is damaged, or is no text file: check how it was made");
    }
  }
  if (end == 1) refuse(1, "a record without a name", std::string("Write the name right after '") + line[0] + "'");
  return std::string(line.substr(1, end - 1));
}

}  // namespace strandline
