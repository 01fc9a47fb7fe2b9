#include "io/tables/tsv_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr std::string_view kMissing = "NA";

template <class T>
std::string shortest(T value) {
  if (std::isnan(value)) return std::string(kMissing);
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end};
}

}  // namespace

std::string format_shortest(double value) { return shortest(value); }
std::string format_shortest(float value) { return shortest(value); }

std::string format_fixed(double value, int digits) {
  if (std::isnan(value)) return std::string(kMissing);
  if (digits < 0 || digits > 30) throw ContractError("format_fixed: digits must be from 0 to 30");
  std::array<char, 360> text;  // 309 before the point of the largest double
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits);
  std::string_view shown(text.data(), static_cast<std::size_t>(end - text.data()));
  if (shown.starts_with('-') && shown.find_first_not_of("-0.") == shown.npos) shown.remove_prefix(1);
  return std::string(shown);
}

TsvWriter::TsvWriter(std::string path, std::vector<std::string> columns, Header header)
    : file_(std::move(path)), columns_(std::move(columns)) {
  for (const std::string& column : columns_) {
    if (column.find_first_of("\t\r\n") != column.npos) {
      throw ContractError("TsvWriter: the column name '" + column + "' holds a tab or a line end");
    }
  }
  if (header == Header::leave_out) return;
  for (const std::string& column : columns_) field(column);
  end_row();
}

void TsvWriter::separate() {
  if (fields_ > 0) row_ += '\t';
  ++fields_;
}

TsvWriter& TsvWriter::field(std::string_view text) {
  separate();
  for (const char letter : text) row_ += letter == '\t' || letter == '\n' || letter == '\r' ? ' ' : letter;
  return *this;
}

TsvWriter& TsvWriter::field(std::int64_t value) {
  separate();
  row_ += std::to_string(value);
  return *this;
}

TsvWriter& TsvWriter::field(double value, int digits) {
  separate();
  row_ += format_fixed(value, digits);
  return *this;
}

TsvWriter& TsvWriter::missing() { return field(kMissing); }

void TsvWriter::end_row() {
  if (fields_ != columns_.size()) {
    throw ContractError("TsvWriter: a row of " + std::to_string(fields_) + " fields in a table of " +
                        std::to_string(columns_.size()) + " columns: " + file_.path());
  }
  row_ += '\n';
  file_.write(row_);
  row_.clear();
  fields_ = 0;
}

void TsvWriter::commit() {
  if (fields_ != 0) throw ContractError("TsvWriter: commit within a row: " + file_.path());
  file_.commit();
}

}  // namespace strandline
