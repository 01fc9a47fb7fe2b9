#include "pipelines/slide/bag_store.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/system_memory.hpp"

namespace strandline {
namespace {

// Rows are read in pieces of about this many numbers and each put in its place, so that a bag is in memory once.
constexpr std::int64_t kNumbersAtOnce = 1 << 20;

std::int64_t bytes_of(const OrderedBag& bag) {
  return std::ssize(bag.features) * static_cast<std::int64_t>(sizeof(float)) +
         std::ssize(bag.coordinates) * static_cast<std::int64_t>(sizeof(PatchCoordinate) + sizeof(std::int64_t));
}

void require_room(const BagInfo& info, const std::string& path) {
  std::int64_t bytes = 0;
  const bool countable = !__builtin_mul_overflow(info.patches, info.width, &bytes) &&
                         !__builtin_mul_overflow(bytes, std::int64_t{sizeof(float)}, &bytes);
  const std::int64_t available = available_memory_bytes();
  if (countable && bytes <= available) return;
  throw MemoryError(path + ": " + std::to_string(info.patches) + " patches x " + std::to_string(info.width) +
                    " features do not fit in the " + std::to_string(available >> 20) +
                    " MiB of memory at hand; use a machine with more");
}

}  // namespace

OrderedBag read_ordered_bag(const std::string& path, const PatchOrder& order, const BagOptions& options) {
  const std::unique_ptr<BagReader> reader = open_bag(path, options);
  const BagInfo& info = reader->info();
  require_room(info, path);
  const bool without = info.unit == CoordinateUnit::none && info.patches > 0;
  if (order.kind != OrderKind::file && without) {
    throw DataError({.file = path},
                    "has no coordinates, but the order of the patches is '" + std::string(name_of(order.kind)) + "'",
                    "Give their folder with --coords, or train with --patch-order file");
  }
  OrderedBag bag{.info = info, .coordinates = {}, .features = {}, .file_index = {}};
  if (without) {
    for (std::int64_t i = 0; i < info.patches; ++i) bag.file_index.push_back(i);
  } else {
    bag.file_index = order_patches(reader->coordinates(), order);
    for (const std::int64_t i : bag.file_index)
      bag.coordinates.push_back(reader->coordinates()[static_cast<std::size_t>(i)]);
  }
  std::vector<std::int64_t> place(bag.file_index.size());
  for (std::size_t i = 0; i < place.size(); ++i)
    place[static_cast<std::size_t>(bag.file_index[i])] = static_cast<std::int64_t>(i);
  bag.features.resize(static_cast<std::size_t>(info.patches * info.width));
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kNumbersAtOnce / std::max<std::int64_t>(1, info.width));
  std::vector<float> rows;
  for (std::int64_t begin = 0; begin < info.patches; begin += rows_at_once) {
    const std::int64_t count = std::min(rows_at_once, info.patches - begin);
    rows.resize(static_cast<std::size_t>(count * info.width));
    reader->read_rows(begin, count, rows.data());
    for (std::int64_t row = 0; row < count; ++row) {
      const auto from = rows.begin() + row * info.width;
      std::copy(from, from + info.width,
                bag.features.begin() + place[static_cast<std::size_t>(begin + row)] * info.width);
    }
  }
  return bag;
}

BagSurvey survey_bags(std::span<const BagSource> sources) {
  BagSurvey survey{.all_have_coordinates = true, .bags = {}};
  std::string first;
  for (const BagSource& source : sources) {
    const auto reader = open_bag(source.path, {.coordinates_path = source.coordinates_path});
    const BagInfo& info = reader->info();
    survey.bags.push_back(info);
    if (info.patches == 0) continue;
    survey.all_have_coordinates &= info.unit != CoordinateUnit::none;
    if (first.empty()) {
      first = source.path;
      survey.width = info.width;
    } else if (info.width != survey.width) {
      throw DataError({.file = source.path},
                      "has " + std::to_string(info.width) + " features per patch, but " + first + " has " +
                          std::to_string(survey.width),
                      "All slides need features of the same encoder");
    }
  }
  return survey;
}

BagStore::BagStore(std::vector<BagSource> sources, const PatchOrder& order, std::int64_t cache_bytes)
    : sources_(std::move(sources)), order_(order), cache_bytes_(cache_bytes) {}

const OrderedBag& BagStore::get(std::int64_t index) {
  const auto at = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.index == index; });
  if (at != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, at);
    return kept_.front().bag;
  }
  const BagSource& source = sources_.at(static_cast<std::size_t>(index));
  OrderedBag bag = read_ordered_bag(source.path, order_, {.coordinates_path = source.coordinates_path});
  kept_bytes_ += bytes_of(bag);
  kept_.push_front({index, std::move(bag)});
  while (kept_bytes_ > cache_bytes_ && kept_.size() > 1) {
    kept_bytes_ -= bytes_of(kept_.back().bag);
    kept_.pop_back();
  }
  return kept_.front().bag;
}

}  // namespace strandline
