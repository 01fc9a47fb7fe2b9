#include <algorithm>
#include <charconv>
#include <filesystem>
#include <type_traits>
#include <utility>

#include "core/base/error.hpp"
#include "pipelines/slide/train_slides.hpp"

namespace strandline {
namespace {

// CLAM: <slide>.h5, TRIDENT: <slide>_patches.h5.
std::string coordinates_of(const std::string& folder, const std::string& slide) {
  for (const char* ending : {".h5", "_patches.h5"}) {
    std::string path = folder;
    path.append("/").append(slide).append(ending);
    std::error_code error;
    if (std::filesystem::exists(path, error)) return path;
  }
  throw DataError({.file = folder, .record = slide}, "there are no coordinates of this slide",
                  "Expected " + slide + ".h5 or " + slide + "_patches.h5 in the folder of --coords");
}

std::vector<BagSource> sources_of(const MatchedSlides& matched, const std::string& coordinates) {
  std::vector<BagSource> sources;
  for (std::size_t i = 0; i < matched.bag_paths.size(); ++i) {
    BagSource source{.path = matched.bag_paths[i]};
    if (!coordinates.empty()) source.coordinates_path = coordinates_of(coordinates, matched.table.slides[i].slide_id);
    sources.push_back(std::move(source));
  }
  return sources;
}

// Slides without a patch teach nothing and cannot be judged.
void leave_out_empty(SlideData& data, MissingPolicy missing) {
  SlideData kept = data;
  kept.table.slides.clear();
  kept.sources.clear();
  kept.bags.clear();
  for (std::size_t i = 0; i < data.sources.size(); ++i) {
    if (data.bags[i].patches > 0) {
      kept.table.slides.push_back(std::move(data.table.slides[i]));
      kept.sources.push_back(std::move(data.sources[i]));
      kept.bags.push_back(std::move(data.bags[i]));
      continue;
    }
    if (missing == MissingPolicy::error) {
      throw DataError({.file = data.sources[i].path}, "the slide has no patches: no tissue was found",
                      "Look at its mask, or leave such slides out with --missing skip");
    }
    kept.left_out.push_back(data.table.slides[i].slide_id + " (no patches)");
  }
  data = std::move(kept);
}

void choose_order(SlideData& data, const SlideTrainOptions& options, const BagSurvey& survey) {
  data.order = options.order.value_or(PatchOrder{survey.all_have_coordinates ? OrderKind::row : OrderKind::file, 0});
  if (data.order.kind == OrderKind::file || survey.all_have_coordinates) return;
  for (std::size_t i = 0; i < data.bags.size(); ++i) {
    if (data.bags[i].unit != CoordinateUnit::none) continue;
    throw DataError({.file = data.sources[i].path},
                    "has no coordinates, which the patch order '" + std::string(name_of(data.order.kind)) + "' needs",
                    "Give their folder with --coords, or take --patch-order file");
  }
}

template <class T>
bool parse_setting(const std::string& text, T& value) {
  if constexpr (std::is_enum_v<T>) {
    return parse(text, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "true";
    return text == "true" || text == "false";
  } else {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  }
}

void set_field(MilConfig& config, const std::string& name, const std::string& text) {
  bool found = false;
  std::string names;
  visit_fields(config, [&](const char* field, auto& value) {
    const bool fixed = std::string_view(field) == "kind" || std::string_view(field) == "in_features" ||
                       std::string_view(field) == "classes";
    if (fixed) return;
    names.append(names.empty() ? "" : ", ").append(field);
    if (name != field) return;
    found = true;
    if (!parse_setting(text, value))
      throw ContractError("--set " + name + ": '" + text + "' is no value of this field");
  });
  if (!found) throw ContractError("--set " + name + ": there is no such field; there are " + names);
}

}  // namespace

SlideData load_slide_data(const SlideTrainOptions& options) {
  MatchedSlides matched =
      match_slides(read_label_table(options.table, options.columns), options.features, options.missing);
  SlideData data;
  data.sources = sources_of(matched, options.coordinates);
  BagSurvey survey = survey_bags(data.sources);
  data.table = std::move(matched.table);
  data.bags = survey.bags;
  data.width = survey.width;
  for (const std::string& slide : matched.without_features) data.left_out.push_back(slide + " (no features)");
  for (const std::string& slide : matched.without_label) data.left_out.push_back(slide + " (no label)");
  leave_out_empty(data, options.missing);
  choose_order(data, options, survey);
  data.folds = options.splits.empty() ? make_folds(data.table, options.folds) : read_splits(options.splits, data.table);
  return data;
}

MilConfig mil_config_of(const SlideTrainOptions& options, const SlideData& data) {
  MilConfig config = published_config(options.kind, data.width, std::ssize(data.table.class_names));
  for (const auto& [name, text] : options.settings) set_field(config, name, text);
  config.validate();
  return config;
}

}  // namespace strandline
