#include "tests/cuda/long_tensor.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace strandline::test {
namespace {

constexpr std::int64_t kHalf = 32;

std::size_t row_bytes(const View& dense) {
  const std::int64_t rows = std::max<std::int64_t>(dense.size(0), 1);
  return static_cast<std::size_t>(dense.elements() / rows) * size_of(dense.dtype());
}

}  // namespace

std::vector<LongPack> long_packs() {
  const std::int64_t quarter = std::int64_t{1} << (kLongPower - 12);  // of the rows
  const std::int64_t first = (std::int64_t{1} << (kLongPower - 1)) / kScanColumns;
  const std::int64_t second = (std::int64_t{1} << kLongPower) / kScanColumns;
  return {{"1 sequence", {0, kLongRows}},
          {"2 sequences", {0, 2 * quarter + 5, kLongRows}},
          {"17 sequences",
           {0, 1, 1, 64, 129, quarter - 5, quarter + 7, first, first + 41, 2 * quarter - 1, 2 * quarter,
            2 * quarter + 1000, 3 * quarter, second - 64, second + 1, 4 * quarter - 70, 4 * quarter + 1, kLongRows}}};
}

double long_value(std::uint64_t seed, std::int64_t row, std::int64_t column) {
  std::uint64_t mixed = seed * 0x9e3779b97f4a7c15U + static_cast<std::uint64_t>(row) * 0xbf58476d1ce4e5b9U +
                        static_cast<std::uint64_t>(column) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31U;
  mixed *= 0xd6e8feb86659fd93U;
  mixed ^= mixed >> 32U;
  return static_cast<double>(static_cast<std::int64_t>(mixed % 257U) - 128) / 64.0;
}

void LongOffsets::SetUp() { backend_ = strandline::testing::make_or_skip(GetParam()); }

bool LongOffsets::has_room(std::int64_t elements) {
  const auto memory = backend_->device_memory();
  if (!memory) return true;
  // Beside the tensors: what an operation takes as scratch, and the pieces.
  const std::int64_t need =
      elements * static_cast<std::int64_t>(size_of(backend_->dtype())) * 5 / 4 + (std::int64_t{8} << 30);
  const auto report = [&] {
    GTEST_SKIP() << "needs " << (need >> 30) << " GiB of device memory, " << (memory->free_bytes >> 30) << " are free";
  };
  if (memory->free_bytes < need) report();
  return memory->free_bytes >= need;
}

Buffer LongOffsets::empty(std::int64_t rows, std::int64_t columns, DType dtype) {
  return {backend_->memory(), dtype, {rows, columns}};
}

Buffer LongOffsets::filled(std::int64_t columns, std::uint64_t seed) {
  const auto block_elements = static_cast<std::size_t>(kPeriod * columns);
  Buffer buffer = empty(kLongRows, columns);
  Memory& memory = backend_->memory();
  auto* data = static_cast<std::byte*>(buffer.view().data());
  const auto fill = [&](auto convert) {
    std::vector<decltype(convert(0.0))> block(block_elements);
    for (std::int64_t row = 0; row < kPeriod; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        block[static_cast<std::size_t>(row * columns + column)] = convert(long_value(seed, row, column));
      }
    }
    memory.upload(data, block.data(), block.size() * sizeof(block[0]));
  };
  if (backend_->dtype() == DType::bf16) {
    fill([](double value) { return to_bf16(static_cast<float>(value)); });
  } else {
    fill([](double value) { return static_cast<float>(value); });
  }
  // Whole periods are doubled, so that they stay in step.
  for (std::size_t done = block_elements * size_of(backend_->dtype()); done < buffer.size_bytes();) {
    const std::size_t part = std::min(done, buffer.size_bytes() - done);
    memory.copy(data + done, data, part);
    done += part;
  }
  return buffer;
}

Buffer LongOffsets::weight(const Shape& shape, std::uint64_t seed, double scale) {
  Buffer buffer(backend_->memory(), DType::f32, shape);
  const std::int64_t columns = shape.rank() > 1 ? shape[1] : 1;
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto place = static_cast<std::int64_t>(i);
    values[i] = static_cast<float>(scale * long_value(seed, place / columns, place % columns));
  }
  buffer.upload(values.data());
  return buffer;
}

std::vector<std::byte> LongOffsets::rows_of(const View& dense, const TokenRange& rows) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows.size()) * row_bytes(dense));
  const auto* from =
      static_cast<const std::byte*>(dense.data()) + static_cast<std::size_t>(rows.begin) * row_bytes(dense);
  backend_->synchronize();
  backend_->memory().download(bytes.data(), from, bytes.size());
  return bytes;
}

void LongOffsets::expect_rows(const View& part, const View& whole, const TokenRange& place, const std::string& what) {
  const std::vector<std::byte> got = rows_of(part, {0, place.size()});
  const std::vector<std::byte> want = rows_of(whole, place);
  ASSERT_EQ(got.size(), want.size()) << what;
  const auto differs = std::mismatch(got.begin(), got.end(), want.begin()).first;
  if (differs == got.end()) return;
  const auto row = static_cast<std::int64_t>(static_cast<std::size_t>(differs - got.begin()) / row_bytes(whole));
  ADD_FAILURE() << what << ": row " << place.begin + row << " of " << to_string(whole.shape())
                << " has other bits in one launch than in a piece of its own";
}

std::vector<TokenRange> windows(std::int64_t columns, DType dtype) {
  std::vector<TokenRange> all{{0, 2 * kHalf}, {kLongRows - 2 * kHalf, kLongRows}};
  for (const int power : {kLongPower - 1, kLongPower}) {
    for (const std::int64_t bytes : {std::int64_t{1}, static_cast<std::int64_t>(size_of(dtype))}) {
      const std::int64_t row = (std::int64_t{1} << power) / (columns * bytes);
      if (row >= kLongRows) continue;  // of 2^32 elements in a narrow tensor
      all.push_back({std::max<std::int64_t>(row - kHalf, 0), std::min(row + kHalf, kLongRows)});
    }
  }
  return all;
}

}  // namespace strandline::test
