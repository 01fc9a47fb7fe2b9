// Which slide is of which patient and class: CLAM's table `case_id,slide_id,label`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strandline {

struct LabelColumns {
  std::string slide = "slide_id";
  std::string patient = "case_id";  ///< may be missing in the table: then every slide is a patient
  std::string label = "label";
};

struct LabelledSlide {
  std::string slide_id;
  std::string patient;
  std::int32_t label = 0;  ///< index of a class name
};

struct LabelTable {
  std::string path;
  /// In the order of class ids: by value when all are integers, else by their bytes; never by the order of the rows.
  std::vector<std::string> class_names;
  std::vector<LabelledSlide> slides;  ///< in the order of the table
  bool has_patients = false;
};

/// TSV or CSV, columns by name. A slide's name may carry the ending of its file (.svs, .tif, .h5 and others): the part
/// before it is the name. @throws DataError: a column missing, a slide twice, an empty field, fewer than two classes.
LabelTable read_label_table(const std::string& path, const LabelColumns& columns = {});

/// Files of a folder that have the endings of bags, by slide.
struct BagFile {
  std::string slide_id;
  std::string path;
};

/// Sorted by slide. @throws DataError when the folder has none, or two for one slide; IoError.
std::vector<BagFile> list_bags(const std::string& folder);

/// What to do with slides that are in the table or in the folder only.
enum class MissingPolicy : std::uint8_t { error, skip };

struct MatchedSlides {
  LabelTable table;                           ///< slides with features only
  std::vector<std::string> bag_paths;         ///< one per slide of `table`
  std::vector<std::string> without_features;  ///< slides of the table, left out
  std::vector<std::string> without_label;     ///< slides of the folder, left out
};

/// @throws DataError naming the first few when the policy is error, or when nothing matches.
MatchedSlides match_slides(LabelTable table, const std::string& folder, MissingPolicy policy);

}  // namespace strandline
