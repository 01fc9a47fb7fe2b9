// Tables of text, row by row: TSV or CSV, plain or compressed, from a file or standard input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace strandline {

struct TableOptions {
  /// '\t' or ','; 0 looks at the header: a tab in it means TSV, else a comma means CSV, else it is a TSV of one column.
  char delimiter = '\0';
};

/// The first line is the header. TSV: a field is what lies between tabs, quotes are letters. CSV: RFC 4180, so a quoted
/// field may hold commas, line ends and doubled quotes. Lines end in LF or CRLF; a UTF-8 byte-order mark and lines with
/// nothing in them are skipped. gzip and BGZF are recognised by content. "-" is standard input. Memory: the longest
/// row. One thread at a time.
class TableReader {
 public:
  /// @throws IoError (missing, unreadable), DataError (empty, no header, a column twice).
  explicit TableReader(const std::string& path, const TableOptions& options = {});
  /// Reads `text`, which must outlive the reader; `name` stands for the file in messages.
  TableReader(std::string_view text, const std::string& name, const TableOptions& options = {});
  ~TableReader();
  TableReader(TableReader&&) noexcept;
  TableReader& operator=(TableReader&&) noexcept;

  const std::vector<std::string>& header() const;
  char delimiter() const;
  /// Index of a column. @throws DataError that lists the columns at hand.
  std::size_t column(std::string_view name) const;
  std::optional<std::size_t> find_column(std::string_view name) const;

  /// Fills `fields`, one per column, reusing its memory; false at the end.
  /// @throws DataError (another number of fields than the header, an embedded NUL, an open quote, damaged compression),
  /// IoError.
  bool next(std::vector<std::string>& fields);

  /// Of the row that next() gave last: file and line, for messages about what a field holds.
  FileLocation location() const;
  /// The same, with the column's name in it.
  FileLocation location(std::size_t column) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
