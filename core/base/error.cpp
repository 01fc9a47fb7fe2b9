#include "core/base/error.hpp"

#include <cstring>

namespace strandline {
namespace {

std::string describe(const FileLocation& location, const std::string& problem, const std::string& cure) {
  std::string text = to_string(location);
  if (!text.empty()) text += ": ";
  text += problem;
  if (!cure.empty()) text += ". " + cure;
  // Names come from files: a NUL would cut the message short, an escape could drive a terminal.
  for (char& letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = '?';
  }
  return text;
}

}  // namespace

std::string to_string(const FileLocation& location) {
  std::string text = location.file;
  const char* separator = ": ";
  const auto append = [&](const std::string& part) {
    text += separator + part;
    separator = ", ";
  };
  if (!location.record.empty()) append("record '" + location.record + "'");
  if (location.line >= 0) append("line " + std::to_string(location.line));
  if (location.byte_offset >= 0) append("byte " + std::to_string(location.byte_offset));
  if (!location.column.empty()) append("column '" + location.column + "'");
  return text;
}

DataError::DataError(FileLocation location, const std::string& problem, const std::string& cure)
    : Error(describe(location, problem, cure)), location_(std::move(location)) {}

IoError::IoError(const std::string& file, const std::string& action, int error_number)
    : Error(file + ": cannot " + action + ": " + std::strerror(error_number)), error_number_(error_number) {}

}  // namespace strandline
