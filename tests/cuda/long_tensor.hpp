// Tensors of more than 2^32 elements on the GPU, filled there and compared in windows: around the places where an
// offset passes 2^31 and 2^32, in elements and in bytes, and at both ends.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/model/segments.hpp"
#include "core/tensor/buffer.hpp"
#include "tests/core/backends.hpp"

namespace strandline::test {

/// Tensors have a little more than 2^32 elements, and half of that is the other place that matters.
inline constexpr int kLongPower = 32;
/// Rows of every long tensor: with 1,024 columns 2^32 elements and a few rows more.
inline constexpr std::int64_t kLongRows = (std::int64_t{1} << (kLongPower - 10)) + 51;
/// Columns of the tensor that x, B and C of the scan are slices of.
inline constexpr std::int64_t kScanColumns = 1056;
/// Rows after which the numbers repeat: a prime, so that a place that is 2^31 or 2^32 elements off holds others.
inline constexpr std::int64_t kPeriod = 4099;

/// A packed batch of kLongRows tokens.
struct LongPack {
  std::string name;
  std::vector<std::int64_t> seq_begin;
};

/// 1, 2 and 17 sequences, with cuts just below and above the places that matter.
std::vector<LongPack> long_packs();

/// What the numbers of one tensor are made of: multiples of 1/64 in [-2, 2], which both types hold exactly.
double long_value(std::uint64_t seed, std::int64_t row, std::int64_t column);

class LongOffsets : public ::testing::TestWithParam<strandline::testing::BackendCase> {
 protected:
  void SetUp() override;

  Backend& backend() { return *backend_; }
  /// Skips by name with both numbers when the card has less free. @returns whether there is enough
  bool has_room(std::int64_t elements);
  Buffer empty(std::int64_t rows, std::int64_t columns, DType dtype);
  Buffer empty(std::int64_t rows, std::int64_t columns) { return empty(rows, columns, backend_->dtype()); }
  /// kLongRows rows of long_value(seed, row % kPeriod, column).
  Buffer filled(std::int64_t columns, std::uint64_t seed);
  /// A tensor in the accumulation type, from long_value; rank 1 or 2.
  Buffer weight(const Shape& shape, std::uint64_t seed, double scale = 1.0);
  /// Rows [begin, end) of a dense tensor, as bytes.
  std::vector<std::byte> rows_of(const View& dense, const TokenRange& rows);
  /// Fails, naming the row, unless `part` has the bits of rows `place` of `whole`. Both dense, of one width.
  void expect_rows(const View& part, const View& whole, const TokenRange& place, const std::string& what);

 private:
  std::unique_ptr<Backend> backend_;
};

/// Windows of 64 rows around the rows in which a tensor of so many columns passes 2^31 and 2^32 elements or bytes, and
/// the first and last 64 rows.
std::vector<TokenRange> windows(std::int64_t columns, DType dtype);

}  // namespace strandline::test
