#include "pipelines/slide/tissue_rules.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/error.hpp"
#include "io/tables/table_reader.hpp"

namespace strandline {
namespace {

struct Preset {
  const char* name;
  TissueRules rules;
};

// The numbers of CLAM's presets folder and of its script's defaults.
const std::vector<Preset>& presets() {
  static const std::vector<Preset> all{
      {"small", {}},
      {"clam", {.min_tissue_patches = 100, .min_hole_patches = 16}},
      {"tcga", {.min_tissue_patches = 16, .min_hole_patches = 4}},
      {"bwh_biopsy", {.saturation_above = 15, .median_px = 11, .close_px = 2, .max_holes = 2}},
      {"bwh_resection", {.saturation_above = 15, .median_px = 11, .min_tissue_patches = 100, .min_hole_patches = 16}},
  };
  return all;
}

// One row of CLAM's CSV.
class PresetRow {
 public:
  explicit PresetRow(const std::string& path) : table_(path, {.delimiter = ','}) {
    if (!table_.next(fields_)) throw DataError({.file = path}, "there is no row below the header");
  }

  double number(const char* column, double otherwise) const {
    const auto index = table_.find_column(column);
    if (!index) return otherwise;
    const std::string& text = fields_[*index];
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || std::abs(value) > 1e9) {
      throw DataError(table_.location(*index), "'" + text + "' is no number");
    }
    return value;
  }

  int whole(const char* column, int otherwise) const {
    const double value = number(column, otherwise);
    if (value != std::floor(value)) throw DataError(table_.location(table_.column(column)), "expected a whole number");
    return static_cast<int>(value);
  }

  bool truth(const char* column, bool otherwise) const {
    const auto index = table_.find_column(column);
    if (!index) return otherwise;
    const std::string& text = fields_[*index];
    if (text == "TRUE" || text == "True" || text == "true" || text == "1") return true;
    if (text == "FALSE" || text == "False" || text == "false" || text == "0") return false;
    throw DataError(table_.location(*index), "'" + text + "' is neither TRUE nor FALSE");
  }

  ContourTest test(const char* column, ContourTest otherwise) const {
    const auto index = table_.find_column(column);
    if (!index) return otherwise;
    try {
      return parse_contour_test(fields_[*index]);
    } catch (const ContractError& error) {
      throw DataError(table_.location(*index), error.what());
    }
  }

 private:
  TableReader table_;
  std::vector<std::string> fields_;
};

}  // namespace

const std::vector<std::string>& tissue_preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Preset& preset : presets()) all.emplace_back(preset.name);
    return all;
  }();
  return names;
}

TissueRules tissue_preset(const std::string& name) {
  for (const Preset& preset : presets()) {
    if (preset.name == name) return preset.rules;
  }
  throw ContractError(
      fmt::format("tissue rules '{}': expected one of {}", name, fmt::join(tissue_preset_names(), ", ")));
}

TissueRules read_tissue_rules(const std::string& path) {
  const PresetRow row(path);
  TissueRules rules = tissue_preset("clam");
  rules.saturation_above = row.number("sthresh", rules.saturation_above);
  rules.median_px = row.whole("mthresh", rules.median_px);
  rules.close_px = row.whole("close", rules.close_px);
  rules.otsu = row.truth("use_otsu", rules.otsu);
  rules.min_tissue_patches = row.number("a_t", rules.min_tissue_patches);
  rules.min_hole_patches = row.number("a_h", rules.min_hole_patches);
  rules.max_holes = row.whole("max_n_holes", rules.max_holes);
  rules.edges = row.truth("use_padding", rules.edges == Edges::pad) ? Edges::pad : Edges::inside;
  rules.contour_test = row.test("contour_fn", rules.contour_test);
  try {
    check_tissue_rules(rules);
  } catch (const ContractError& error) {
    throw DataError({.file = path, .line = 2}, error.what());
  }
  return rules;
}

void check_tissue_rules(const TissueRules& rules) {
  const auto require = [](bool right, const char* what) {
    if (!right) throw ContractError(std::string("tissue rules: ") + what);
  };
  require(rules.median_px >= 1 && rules.median_px % 2 == 1 && rules.median_px <= 255,
          "the median filter's side (mthresh) must be odd, from 1 to 255");
  require(rules.close_px >= 0 && rules.close_px <= 1024, "the closing's side (close) must be from 0 to 1024");
  require(rules.saturation_above >= 0 && rules.saturation_above <= 255,
          "the threshold (sthresh) must be from 0 to 255");
  require(rules.min_tissue_patches >= 0 && rules.min_hole_patches >= 0 && rules.max_holes >= 0,
          "areas (a_t, a_h) and the number of holes must not be negative");
}

ContourTest parse_contour_test(const std::string& text) {
  for (const ContourTest test :
       {ContourTest::four_pt, ContourTest::four_pt_hard, ContourTest::center, ContourTest::basic}) {
    if (text == name_of(test)) return test;
  }
  throw ContractError("contour test '" + text + "': expected four_pt, four_pt_hard, center or basic");
}

std::string name_of(ContourTest test) {
  switch (test) {
    case ContourTest::four_pt: return "four_pt";
    case ContourTest::four_pt_hard: return "four_pt_hard";
    case ContourTest::center: return "center";
    case ContourTest::basic: break;
  }
  return "basic";
}

std::string describe(const TissueRules& rules) {
  return fmt::format(
      "sthresh={} mthresh={} close={} use_otsu={} a_t={} a_h={} max_n_holes={} use_padding={} contour_fn={}",
      rules.saturation_above, rules.median_px, rules.close_px, rules.otsu, rules.min_tissue_patches,
      rules.min_hole_patches, rules.max_holes, rules.edges == Edges::pad, name_of(rules.contour_test));
}

}  // namespace strandline
