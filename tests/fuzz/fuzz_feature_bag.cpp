// Any bytes, as a bag of features (HDF5, .pt in both forms, .npy): a bag whose numbers are all there, or a DataError.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/base/error.hpp"
#include "io/features/feature_bag.hpp"
#include "tests/fuzz/memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const strandline::testing::MemoryFile file(data, size);
  try {
    const auto bag = strandline::open_bag(file.path());
    const strandline::BagInfo& info = bag->info();
    if (info.patches < 0 || info.width < 0) std::abort();
    const auto coordinates = static_cast<std::int64_t>(bag->coordinates().size());
    if (coordinates != 0 && coordinates != info.patches) std::abort();
    // A packed file may honestly hold a thousand times its size: the fuzzer looks at the first rows.
    constexpr std::int64_t kMostNumbers = 1 << 16;
    if (info.width > kMostNumbers) return 0;
    const std::int64_t rows = std::min(info.patches, kMostNumbers / std::max<std::int64_t>(1, info.width));
    std::vector<float> numbers(static_cast<std::size_t>(rows * info.width));
    bag->read_rows(0, rows, numbers.data());
  } catch (const strandline::DataError&) {
  }
  return 0;
}
