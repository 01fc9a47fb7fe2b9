#include "cuda/plans/linear_plan.hpp"

#include <gtest/gtest.h>

#include "core/base/checked.hpp"

namespace strandline::cuda {
namespace {

const void* at(std::uintptr_t address) { return reinterpret_cast<const void*>(address); }

/// x [tokens, inputs] bf16 times the transpose of a weight [outputs, inputs], dense rows.
Product projection(std::int64_t tokens, std::int64_t inputs, std::int64_t outputs) {
  return {.a = {at(4096), DType::bf16, inputs, true},
          .b = {at(8192), DType::bf16, inputs, true},
          .y = const_cast<void*>(at(1 << 20)),
          .y_dtype = DType::bf16,
          .y_stride = outputs,
          .rows = tokens,
          .columns = outputs,
          .depth = inputs};
}

TEST(LinearPlan, GivesTheLibraryTheShapesOfTheModels) {
  EXPECT_TRUE(blas_takes(projection(16384, 768, 3352)));
  EXPECT_TRUE(blas_takes(projection(16384, 1536, 768)));
  EXPECT_TRUE(blas_takes(projection(1, 256, 1288)));
}

TEST(LinearPlan, KeepsWhatCutsThrough16BytesForItsOwnKernel) {
  EXPECT_FALSE(blas_takes(projection(16384, 128, 386)));
  EXPECT_FALSE(blas_takes(projection(16384, 9, 64)));
  EXPECT_FALSE(blas_takes(projection(16384, 256, 8)));

  Product moved = projection(16384, 768, 768);
  moved.a.data = at(4096 + 2);
  EXPECT_FALSE(blas_takes(moved));

  Product gaps = projection(16384, 768, 768);
  gaps.y_stride = 768 + 5;
  EXPECT_FALSE(blas_takes(gaps));
}

TEST(LinearPlan, DecidesAlikeForEveryNumberOfRowsAndEverySliceOfThem) {
  for (const std::int64_t outputs : {64, 386}) {
    const bool whole = blas_takes(projection(std::int64_t{1} << 28, 128, outputs));
    for (const std::int64_t begin : {0, 1, 13, 4097}) {
      Product slice = projection(3, 128, outputs);
      slice.a.data = static_cast<const std::byte*>(slice.a.data) + 2 * begin * slice.a.stride;
      slice.y = static_cast<std::byte*>(slice.y) + 2 * begin * slice.y_stride;
      EXPECT_EQ(blas_takes(slice), whole) << outputs << " from row " << begin;
    }
  }
}

TEST(LinearPlan, KeepsOffsetsOfOnePieceBelow31Bits) {
  for (const std::int64_t stride : {1, 64, 3352, 12345, 262144}) {
    const std::int64_t tokens = plan_piece_tokens({.widest_stride = stride});
    EXPECT_GE(tokens, kSmallestPiece) << stride;
    EXPECT_LE(tokens, kLargestPiece) << stride;
    EXPECT_LT(tokens * stride, std::int64_t{1} << 31) << stride;
  }
}

TEST(LinearPlan, BoundsTheScratchForRoundedActivations) {
  for (const std::int64_t width : {64, 768, 3352, 16384}) {
    const std::int64_t tokens = plan_piece_tokens({.widest_stride = width, .converted_width = width});
    EXPECT_LE(tokens * width * 2, kConvertedBytes) << width;
    EXPECT_GE(tokens, kSmallestPiece) << width;
  }
}

TEST(LinearPlan, CutsTokensSoThatPartialSumsFillTheCardAndFitTheScratch) {
  for (const std::int64_t tokens : {1, 255, 1024, 4097, 65536, 262144}) {
    for (const auto& [outputs, inputs] :
         {std::pair<std::int64_t, std::int64_t>{3352, 768}, {1288, 256}, {386, 128}, {1, 1}, {8192, 8192}}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, " << outputs << " x " << inputs);

      const std::int64_t range = plan_gradient_range({tokens, outputs, inputs, kOwnRange});

      EXPECT_EQ(range & (range - 1), 0);
      EXPECT_GE(range, kOwnRange);
      const std::int64_t ranges = ceil_div(tokens, range);
      EXPECT_TRUE(ranges == 1 || ranges * outputs * inputs * 4 <= kPartialBytes);
    }
  }
  EXPECT_EQ(plan_gradient_range({262144, 3352, 768, kBlasRange}), 16384 * 2);
  EXPECT_EQ(plan_gradient_range({262144, 1288, 256, kBlasRange}), 8192);
}

// The sizes of tensors as linear_cuda.cu takes them, for dense rows.
std::int64_t partial_bytes(std::int64_t tokens, std::int64_t outputs, std::int64_t inputs) {
  const std::int64_t range = plan_gradient_range({tokens, outputs, inputs, kBlasRange});
  const std::int64_t rest = tokens % range;
  const std::int64_t own = plan_gradient_range({rest, outputs, inputs, kOwnRange});
  return 4 * outputs * inputs * (tokens / range + ceil_div(rest, own));
}

TEST(LinearPlan, AnnouncesAtLeastThePartialSumsOfEveryLength) {
  for (const auto& [outputs, inputs] :
       {std::pair<std::int64_t, std::int64_t>{3352, 768}, {1288, 256}, {386, 128}, {2, 3}, {8192, 8192}}) {
    for (std::int64_t tokens = 1; tokens <= kLargestPiece; tokens += 1 + tokens / 7) {
      const std::int64_t announced = linear_scratch_bytes(
          {.kind = ops::OperationKind::linear_backward, .tokens = tokens, .channels = outputs, .inputs = inputs},
          DType::f32);

      EXPECT_GE(announced, kBlasWorkspaceBytes + partial_bytes(tokens, outputs, inputs))
          << tokens << " tokens, " << outputs << " x " << inputs;
    }
  }
}

TEST(LinearPlan, AnnouncesScratchThatDoesNotGrowWithTheSequence) {
  const auto bytes = [](std::int64_t tokens, DType dtype) {
    return linear_scratch_bytes({.kind = ops::OperationKind::linear, .tokens = tokens, .channels = 3352, .inputs = 768},
                                dtype);
  };

  EXPECT_EQ(bytes(std::int64_t{1} << 20, DType::bf16), bytes(std::int64_t{1} << 28, DType::bf16));
  EXPECT_EQ(bytes(std::int64_t{1} << 28, DType::f32), kBlasWorkspaceBytes);
  EXPECT_LE(bytes(std::int64_t{1} << 28, DType::bf16), kBlasWorkspaceBytes + kConvertedBytes + 2 * 3352 * 768);
  EXPECT_EQ(linear_scratch_bytes({.kind = ops::OperationKind::conv1d, .tokens = 100}, DType::f32), 0);
}

}  // namespace
}  // namespace strandline::cuda
