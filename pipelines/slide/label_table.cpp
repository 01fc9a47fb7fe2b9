#include "pipelines/slide/label_table.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "io/features/feature_bag.hpp"
#include "io/tables/table_reader.hpp"

namespace strandline {
namespace {

constexpr std::size_t kNamed = 5;

std::string slide_name(const std::string& text) {
  for (const char* ending : {".svs", ".ndpi", ".mrxs", ".scn", ".tiff", ".tif", ".svslide", ".bif", ".vms", ".dcm"}) {
    if (text.ends_with(ending) && text.size() > std::string_view(ending).size())
      return slide_id_of(text.substr(0, text.size() - std::string_view(ending).size()));
  }
  return has_bag_ending(text) ? slide_id_of(text) : text;
}

std::optional<std::int64_t> integer_of(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void sort_classes(std::vector<std::string>& names) {
  const bool numbers =
      std::all_of(names.begin(), names.end(), [](const auto& name) { return integer_of(name).has_value(); });
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return numbers && integer_of(a) != integer_of(b) ? integer_of(a) < integer_of(b) : a < b;
  });
}

struct Columns {
  std::size_t slide;
  std::optional<std::size_t> patient;
  std::size_t label;
};

const std::string& required_field(const TableReader& reader, const std::vector<std::string>& fields,
                                  std::size_t column) {
  if (fields[column].empty())
    throw DataError(reader.location(column), "the field is empty", "Fill it or remove the row");
  if (fields[column].find_first_of("\t\r\n") != std::string::npos)
    throw DataError(reader.location(column), "the field holds a tab or a line end",
                    "Rename it: the name goes into tables");
  return fields[column];
}

std::string first_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kNamed ? text + ", ..." : text;
}

}  // namespace

LabelTable read_label_table(const std::string& path, const LabelColumns& columns) {
  TableReader reader(path);
  const Columns at{reader.column(columns.slide), reader.find_column(columns.patient), reader.column(columns.label)};
  LabelTable table{.path = path, .class_names = {}, .slides = {}, .has_patients = at.patient.has_value()};
  std::vector<std::string> labels;
  std::set<std::string> seen;
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    LabelledSlide slide;
    slide.slide_id = slide_name(required_field(reader, fields, at.slide));
    slide.patient = at.patient ? required_field(reader, fields, *at.patient) : slide.slide_id;
    if (!seen.insert(slide.slide_id).second)
      throw DataError(reader.location(at.slide), "the slide '" + slide.slide_id + "' is there twice",
                      "Every slide has one row");
    labels.push_back(required_field(reader, fields, at.label));
    table.slides.push_back(std::move(slide));
  }
  table.class_names = labels;
  std::sort(table.class_names.begin(), table.class_names.end());
  table.class_names.erase(std::unique(table.class_names.begin(), table.class_names.end()), table.class_names.end());
  if (table.class_names.size() < 2) {
    throw DataError({.file = path, .column = columns.label},
                    std::to_string(table.class_names.size()) + " different labels; a classifier needs two or more");
  }
  sort_classes(table.class_names);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto class_at = std::find(table.class_names.begin(), table.class_names.end(), labels[i]);
    table.slides[i].label = static_cast<std::int32_t>(class_at - table.class_names.begin());
  }
  return table;
}

std::vector<BagFile> list_bags(const std::string& folder) {
  std::error_code error;
  std::vector<BagFile> bags;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) throw IoError(folder, "list the features in", error.value());
  for (const auto& entry : entries) {
    const std::string path = entry.path().string();
    if (has_bag_ending(path)) bags.push_back({slide_id_of(path), path});
  }
  if (bags.empty()) {
    throw DataError({.file = folder}, "the folder has no features (.h5, .pt, .npy)",
                    "CLAM: FEATS/h5_files or FEATS/pt_files; TRIDENT: features_...");
  }
  std::sort(bags.begin(), bags.end(), [](const BagFile& a, const BagFile& b) {
    return std::pair(a.slide_id, a.path) < std::pair(b.slide_id, b.path);
  });
  const auto twice = std::adjacent_find(bags.begin(), bags.end(),
                                        [](const auto& a, const auto& b) { return a.slide_id == b.slide_id; });
  if (twice != bags.end())
    throw DataError({.file = twice->path}, "has features of the same slide as " + (twice + 1)->path,
                    "Keep one of them");
  return bags;
}

MatchedSlides match_slides(LabelTable table, const std::string& folder, MissingPolicy policy) {
  std::map<std::string, std::string> path_of;
  for (BagFile& bag : list_bags(folder)) path_of.emplace(std::move(bag.slide_id), std::move(bag.path));
  MatchedSlides matched;
  std::vector<LabelledSlide> kept;
  for (LabelledSlide& slide : table.slides) {
    const auto at = path_of.find(slide.slide_id);
    if (at == path_of.end()) {
      matched.without_features.push_back(slide.slide_id);
      continue;
    }
    matched.bag_paths.push_back(std::move(at->second));
    path_of.erase(at);
    kept.push_back(std::move(slide));
  }
  for (const auto& [slide, path] : path_of) matched.without_label.push_back(slide);
  const bool any = !kept.empty();
  if (!matched.without_features.empty() && (policy == MissingPolicy::error || !any)) {
    throw DataError({.file = table.path},
                    std::to_string(matched.without_features.size()) + " slides have no features in " + folder + ": " +
                        first_of(matched.without_features),
                    any ? "Make them, or leave these slides out with --missing skip" : "Is it the right folder?");
  }
  if (!matched.without_label.empty() && policy == MissingPolicy::error) {
    throw DataError({.file = folder},
                    std::to_string(matched.without_label.size()) + " slides are not in " + table.path + ": " +
                        first_of(matched.without_label),
                    "Add their rows, or leave these slides out with --missing skip");
  }
  table.slides = std::move(kept);
  matched.table = std::move(table);
  return matched;
}

}  // namespace strandline
