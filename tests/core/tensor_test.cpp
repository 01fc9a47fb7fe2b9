#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/base/checked.hpp"
#include "core/base/dtype.hpp"
#include "core/base/error.hpp"
#include "core/tensor/buffer.hpp"
#include "core/tensor/host_copy.hpp"
#include "core/tensor/view.hpp"

namespace strandline {
namespace {

TEST(Checked, RefusesSizesThatWrap) {
  EXPECT_EQ(checked_product(std::int64_t{1} << 31, std::int64_t{1} << 31), std::int64_t{1} << 62);
  EXPECT_THROW(checked_product(std::int64_t{1} << 32, std::int64_t{1} << 31), ContractError);
  EXPECT_THROW(checked_product(-1, 2), ContractError);
  EXPECT_THROW(checked_cast<std::int32_t>(std::int64_t{1} << 31), ContractError);
}

TEST(Bf16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(to_bf16(1.0F + 0x1p-8F).bits, 0x3f80);            // a tie goes to the even neighbour
  EXPECT_EQ(to_bf16(1.0F + 0x1p-7F + 0x1p-8F).bits, 0x3f82);  // the other tie
  EXPECT_EQ(to_bf16(1.0F + 0x1p-8F + 0x1p-20F).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(to_float(to_bf16(-2.5F)), -2.5F);
}

TEST(View, SlicesAndSplitsWithoutCopying) {
  std::array<float, 24> data{};
  const View view(data.data(), DType::f32, {4, 6});
  const View part = view.slice(1, 2, 6).split_last(2);
  EXPECT_EQ(part.shape(), (Shape{4, 2, 2}));
  EXPECT_EQ(part.stride(0), 6);
  EXPECT_EQ(part.stride(1), 2);
  EXPECT_EQ(part.data(), data.data() + 2);
  EXPECT_FALSE(part.is_dense());
  EXPECT_TRUE(view.slice(0, 1, 3).is_dense());
  EXPECT_EQ(view.slice(0, 4, 4).elements(), 0);
}

TEST(View, RefusesWhatIsOutside) {
  std::array<float, 6> data{};
  const View view(data.data(), DType::f32, {2, 3});
  EXPECT_THROW(view.slice(0, 1, 3), ContractError);
  EXPECT_THROW(view.slice(0, 2, 1), ContractError);
  EXPECT_THROW(view.slice(2, 0, 1), ContractError);
  EXPECT_THROW(view.split_last(2), ContractError);
  EXPECT_THROW(view.as<double>(), ContractError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1}), ContractError);
}

TEST(View, IsAbsentUntilItIsGivenATensor) {
  EXPECT_FALSE(View{});
  const View empty(nullptr, DType::f32, {0, 3});
  EXPECT_TRUE(empty);
}

TEST(Buffer, MovesItsMemory) {
  HostMemory memory;
  Buffer first(memory, DType::f32, {3});
  const void* data = first.view().data();
  Buffer second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): being empty is the contract
  EXPECT_EQ(second.view().data(), data);
  EXPECT_EQ(second.size_bytes(), 12U);
}

TEST(Buffer, RefusesASizeThatWraps) {
  HostMemory memory;
  EXPECT_THROW(Buffer(memory, DType::f64, {std::int64_t{1} << 61}), ContractError);
}

TEST(Buffer, ReportsMemoryThatIsNotThere) {
  HostMemory memory;
  EXPECT_THROW(Buffer(memory, DType::u8, {std::int64_t{1} << 60}), MemoryError);
}

TEST(HostCopy, ConvertsBothWays) {
  HostMemory memory;
  const std::vector<float> values{1.5F, -2.0F, 0.25F};
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Buffer buffer(memory, dtype, {3});
    upload_values(memory, values, buffer.view());
    std::vector<double> wide(3);
    download_values(memory, buffer.view(), wide);
    EXPECT_EQ(wide, (std::vector<double>{1.5, -2.0, 0.25}));
    std::vector<float> narrow(3);
    download_values(memory, buffer.view(), narrow);
    EXPECT_EQ(narrow, values);
  }
}

TEST(HostCopy, RefusesAnotherCountAndStridedTensors) {
  HostMemory memory;
  const Buffer buffer(memory, DType::f32, {2, 3});
  std::vector<float> values(5);
  EXPECT_THROW(upload_values(memory, values, buffer.view()), ContractError);
  values.resize(4);
  EXPECT_THROW(download_values(memory, buffer.view().slice(1, 0, 2), values), ContractError);
}

}  // namespace
}  // namespace strandline
