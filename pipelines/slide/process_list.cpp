#include "pipelines/slide/process_list.hpp"

#include <charconv>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "io/tables/table_reader.hpp"
#include "io/tables/tsv_writer.hpp"

namespace strandline {
namespace {

const std::vector<std::string>& columns() {
  static const std::vector<std::string> names{"slide_id",          "path",       "status",   "patches",    "contours",
                                              "bad_patches",       "bad_blocks", "mpp",      "mpp_source", "level",
                                              "patch_size_level0", "size_bytes", "settings", "message"};
  return names;
}

class RowReader {
 public:
  explicit RowReader(const std::string& path) : table_(path, {.delimiter = '\t'}) {}

  bool next(ProcessRow& row) {
    if (!table_.next(fields_)) return false;
    row = {.slide_id = text("slide_id"), .path = text("path"), .status = status()};
    row.patches = number<std::int64_t>("patches").value_or(0);
    row.contours = number<std::int64_t>("contours").value_or(0);
    row.bad_patches = number<std::int64_t>("bad_patches").value_or(0);
    row.bad_blocks = number<std::int64_t>("bad_blocks").value_or(0);
    row.mpp = number<double>("mpp");
    row.mpp_source = text("mpp_source");
    row.level = number<std::int64_t>("level");
    row.patch_size_level0 = number<std::int64_t>("patch_size_level0");
    row.size_bytes = number<std::int64_t>("size_bytes").value_or(0);
    row.settings = text("settings");
    row.message = text("message");
    return true;
  }

 private:
  const std::string& text(const char* column) const { return fields_[table_.column(column)]; }

  template <class Number>
  std::optional<Number> number(const char* column) const {
    const std::string& field = text(column);
    if (field == "NA") return std::nullopt;
    Number value{};
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size()) {
      throw DataError(table_.location(table_.column(column)), "'" + field + "' is no number",
                      "The list is written by this program; delete it to begin afresh");
    }
    return value;
  }

  SlideStatus status() const {
    for (const SlideStatus one : {SlideStatus::processed, SlideStatus::empty, SlideStatus::failed}) {
      if (text("status") == name_of(one)) return one;
    }
    throw DataError(table_.location(table_.column("status")), "'" + text("status") + "' is no status",
                    "Expected processed, empty or failed");
  }

  TableReader table_;
  std::vector<std::string> fields_;
};

}  // namespace

std::string name_of(SlideStatus status) {
  switch (status) {
    case SlideStatus::processed: return "processed";
    case SlideStatus::empty: return "empty";
    case SlideStatus::failed: break;
  }
  return "failed";
}

ProcessList::ProcessList(std::string path) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  RowReader reader(path_);
  ProcessRow row;
  while (reader.next(row)) rows_[row.slide_id] = row;
}

const ProcessRow* ProcessList::find(const std::string& slide_id) const {
  const auto found = rows_.find(slide_id);
  return found == rows_.end() ? nullptr : &found->second;
}

void ProcessList::put(ProcessRow row) {
  rows_[row.slide_id] = std::move(row);
  write();
}

void ProcessList::write() const {
  TsvWriter file(path_, columns());
  const auto optional = [&](const auto& value) {
    if (value) {
      file.field(*value);
    } else {
      file.missing();
    }
  };
  for (const auto& [id, row] : rows_) {
    file.field(row.slide_id).field(row.path).field(name_of(row.status)).field(row.patches).field(row.contours);
    file.field(row.bad_patches).field(row.bad_blocks);
    optional(row.mpp ? std::optional(format_shortest(*row.mpp)) : std::nullopt);
    file.field(row.mpp_source);
    optional(row.level);
    optional(row.patch_size_level0);
    file.field(row.size_bytes).field(row.settings).field(row.message);
    file.end_row();
  }
  file.commit();
}

}  // namespace strandline
