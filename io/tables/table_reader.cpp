#include "io/tables/table_reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "io/bytes/byte_source.hpp"

namespace strandline {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;
constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxColumns = 100000;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr int kEnd = -1;

std::string file_name(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string shown = "'";
  shown += text.substr(0, kShown);
  shown += text.size() > kShown ? "...'" : "'";
  return shown;
}

}  // namespace

class TableReader::Impl {
 public:
  Impl(std::unique_ptr<ByteSource> source, std::string name, const TableOptions& options)
      : source_(std::move(source)), name_(std::move(name)), delimiter_(options.delimiter) {
    read_header();
  }

  const std::vector<std::string>& header() const { return header_; }
  char delimiter() const { return delimiter_; }
  FileLocation location() const { return {.file = name_, .line = row_line_}; }

  std::optional<std::size_t> find(std::string_view name) const {
    const auto at = std::find(header_.begin(), header_.end(), name);
    if (at == header_.end()) return std::nullopt;
    return static_cast<std::size_t>(at - header_.begin());
  }

  std::size_t column(std::string_view name) const {
    if (const auto at = find(name)) return *at;
    std::string have;
    for (const std::string& column : header_) have += (have.empty() ? "" : ", ") + quoted(column);
    throw DataError({.file = name_}, "there is no column " + quoted(name), "The columns are " + have);
  }

  bool next(std::vector<std::string>& fields) {
    if (!read_row(fields, header_.size())) return false;
    if (row_fields_ != header_.size()) {
      throw DataError(
          location(),
          "the row has " + std::to_string(row_fields_) + " fields, the header " + std::to_string(header_.size()),
          delimiter_ == ',' ? "Put fields that hold a comma in double quotes" : "Fields are separated by one tab");
    }
    return true;
  }

 private:
  // The next letter, or kEnd.
  int peek() {
    if (begin_ == buffer_.size() && !refill()) return kEnd;
    return static_cast<unsigned char>(buffer_[begin_]);
  }

  bool refill() {
    buffer_.clear();
    begin_ = 0;
    return append_to_buffer();
  }

  bool append_to_buffer() {
    const std::size_t old = buffer_.size();
    buffer_.resize(old + kBufferBytes);
    std::size_t got = 0;
    try {
      got = source_->read(buffer_.data() + old, kBufferBytes);
    } catch (...) {
      buffer_.resize(old);
      throw;
    }
    buffer_.resize(old + got);
    return got > 0;
  }

  void read_header() {
    while (buffer_.size() < kByteOrderMark.size() && append_to_buffer()) {
    }
    if (std::string_view(buffer_).starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
    if (delimiter_ == '\0') delimiter_ = detect_delimiter();
    if (delimiter_ != '\t' && delimiter_ != ',') {
      throw ContractError("TableReader: the delimiter must be a tab or a comma");
    }
    stops_['\n'] = stops_['\0'] = stops_[static_cast<unsigned char>(delimiter_)] = true;
    stops_['"'] = delimiter_ == ',';
    if (!read_row(header_, kMaxColumns)) {
      throw DataError({.file = name_}, "the table is empty", "Its first line must name the columns");
    }
    if (header_.size() > kMaxColumns) throw DataError(location(), "the header has more than 100,000 columns");
    std::vector<std::string_view> sorted(header_.begin(), header_.end());
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) throw DataError(location(), "the column " + quoted(*twice) + " is there twice");
  }

  // A tab in the first line that has letters wins: names of columns may hold commas, but never tabs.
  char detect_delimiter() {
    std::size_t line = std::string::npos;
    std::size_t line_end = std::string::npos;
    do {
      line = buffer_.find_first_not_of("\r\n", begin_);
      line_end = line == std::string::npos ? line : buffer_.find('\n', line);
      if (buffer_.size() > kMaxHeaderBytes)
        throw DataError({.file = name_, .line = 1}, "the header is longer than 64 MiB");
    } while (line_end == std::string::npos && append_to_buffer());
    if (line == std::string::npos) return '\t';
    const std::string_view header = std::string_view(buffer_).substr(line, line_end - line);
    return header.find('\t') == header.npos && header.find(',') != header.npos ? ',' : '\t';
  }

  // The next line that has something in it. Fields beyond `max_fields` are counted and not kept (all but one).
  bool read_row(std::vector<std::string>& fields, std::size_t max_fields) {
    for (;;) {
      if (peek() == kEnd) return false;
      row_line_ = line_;
      bool in_quotes = false;
      std::size_t count = 0;
      int stop = 0;
      do {
        if (count == fields.size() && count <= max_fields) fields.emplace_back();
        std::string& field = fields[std::min(count, max_fields)];
        field.clear();
        const bool quote = delimiter_ == ',' && peek() == '"';
        in_quotes |= quote;
        stop = quote ? read_quoted(field) : read_plain(field);
        ++count;
      } while (stop == static_cast<unsigned char>(delimiter_));
      row_fields_ = count;
      const bool blank = count == 1 && fields[0].empty() && !in_quotes;
      fields.resize(std::min(count, max_fields + 1));
      if (!blank) return true;
    }
  }

  // Returns what ended the field: the delimiter, '\n' or kEnd.
  int read_plain(std::string& field) {
    int stop = kEnd;
    while (peek() != kEnd) {
      const std::size_t begin = begin_;
      while (begin_ < buffer_.size() && !stops_[static_cast<unsigned char>(buffer_[begin_])]) ++begin_;
      field.append(buffer_, begin, begin_ - begin);
      if (begin_ == buffer_.size()) continue;
      stop = static_cast<unsigned char>(buffer_[begin_++]);
      break;
    }
    if (stop == '\0') refuse_nul();
    if (stop == '"') {
      throw DataError(here(), "a double quote inside a field that does not begin with one",
                      "Put the whole field in quotes and double the quotes in it");
    }
    if (stop == '\n') ++line_;
    if ((stop == '\n' || stop == kEnd) && field.ends_with('\r')) field.pop_back();
    return stop;
  }

  int read_quoted(std::string& field) {
    const FileLocation opened = here();
    ++begin_;
    for (;;) {
      if (peek() == kEnd) throw DataError(opened, "the quote that opens here is never closed");
      const char letter = buffer_[begin_++];
      if (letter == '\0') refuse_nul();
      if (letter == '\n') ++line_;
      if (letter != '"') {
        field += letter;
      } else if (peek() == '"') {
        field += '"';
        ++begin_;
      } else {
        return after_quote();
      }
    }
  }

  int after_quote() {
    int stop = peek();
    if (stop == '\r') {
      ++begin_;
      stop = peek();
      if (stop != '\n' && stop != kEnd) throw DataError(here(), "a carriage return that does not end the line");
    }
    if (stop == kEnd) return stop;
    if (stop != '\n' && stop != delimiter_) throw DataError(here(), "text after the closing quote of a field");
    ++begin_;
    if (stop == '\n') ++line_;
    return stop;
  }

  FileLocation here() const { return {.file = name_, .line = line_}; }

  [[noreturn]] void refuse_nul() const {
    throw DataError(here(), "a NUL byte in a text table", "Is it UTF-16 or a binary file? Save it as UTF-8 text");
  }

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  char delimiter_;
  std::array<bool, 256> stops_{};
  std::string buffer_;
  std::size_t begin_ = 0;
  std::int64_t line_ = 1;
  std::int64_t row_line_ = 1;
  std::size_t row_fields_ = 0;
  std::vector<std::string> header_;
};

TableReader::TableReader(const std::string& path, const TableOptions& options)
    : impl_(std::make_unique<Impl>(open_bytes(path), file_name(path), options)) {}

TableReader::TableReader(std::string_view text, const std::string& name, const TableOptions& options)
    : impl_(std::make_unique<Impl>(bytes_in_memory(text, name), name, options)) {}

TableReader::~TableReader() = default;
TableReader::TableReader(TableReader&&) noexcept = default;
TableReader& TableReader::operator=(TableReader&&) noexcept = default;

const std::vector<std::string>& TableReader::header() const { return impl_->header(); }
char TableReader::delimiter() const { return impl_->delimiter(); }
std::size_t TableReader::column(std::string_view name) const { return impl_->column(name); }
std::optional<std::size_t> TableReader::find_column(std::string_view name) const { return impl_->find(name); }
bool TableReader::next(std::vector<std::string>& fields) { return impl_->next(fields); }
FileLocation TableReader::location() const { return impl_->location(); }

FileLocation TableReader::location(std::size_t column) const {
  FileLocation location = impl_->location();
  location.column = impl_->header().at(column);
  return location;
}

}  // namespace strandline
