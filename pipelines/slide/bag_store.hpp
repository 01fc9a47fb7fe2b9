// The bags of a training run: looked at once, read when needed, kept as long as there is room.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/features/feature_bag.hpp"
#include "pipelines/slide/patch_order.hpp"

namespace strandline {

/// A bag whose rows are in the model's order.
struct OrderedBag {
  BagInfo info;
  std::vector<PatchCoordinate> coordinates;
  std::vector<float> features;
  std::vector<std::int64_t> file_index;  ///< of each row: which patch of the file it is

  std::int64_t patches() const { return info.patches; }
};

/// Reads the whole bag and puts it in order. @throws DataError when the order needs coordinates that are not there;
/// what read_bag throws.
OrderedBag read_ordered_bag(const std::string& path, const PatchOrder& order, const BagOptions& options = {});

struct BagSource {
  std::string path;
  std::string coordinates_path{};  ///< empty: in the file itself, or none
};

/// What keeps the bags of one run together: one width, coordinates in all or in none.
struct BagSurvey {
  std::int64_t width = 0;
  bool all_have_coordinates = false;
  std::vector<BagInfo> bags;  ///< in the order given
};

/// Opens every bag and reads no features. @throws DataError for another width than the others have, naming both files.
BagSurvey survey_bags(std::span<const BagSource> sources);

/// Bags by number. What was read is kept until `cache_bytes` are full; then the one not used for the longest goes. What
/// is kept changes speed, never a result. One thread at a time.
class BagStore {
 public:
  BagStore(std::vector<BagSource> sources, const PatchOrder& order, std::int64_t cache_bytes);

  std::int64_t size() const { return std::ssize(sources_); }
  /// Valid until the next call.
  const OrderedBag& get(std::int64_t index);

 private:
  struct Kept {
    std::int64_t index;
    OrderedBag bag;
  };

  std::vector<BagSource> sources_;
  PatchOrder order_;
  std::int64_t cache_bytes_;
  std::int64_t kept_bytes_ = 0;
  std::list<Kept> kept_;  ///< the one used last comes first
};

}  // namespace strandline
