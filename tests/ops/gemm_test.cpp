// The CPU back end's own matrix product, on every instruction set that this machine has.
#include "core/cpu/gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/philox.hpp"
#include "tests/core/printed_enums.hpp"

namespace strandline::test {
namespace {

std::vector<float> normal_floats(std::int64_t count, std::uint64_t stream) {
  RandomStream random(7, stream);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

enum class Layout { rows, columns, rows_reversed, strided };

/// A matrix in one of the layouts that the operations use, in memory of its own.
struct Operand {
  Operand(std::int64_t rows, std::int64_t columns, Layout layout, std::uint64_t stream)
      : values(normal_floats(2 * (rows + 3) * (columns + 3) + 1, stream)) {
    const std::int64_t last_row = rows > 0 ? rows - 1 : 0;
    switch (layout) {
      case Layout::rows: matrix = {values.data(), columns + 3, 1}; break;
      case Layout::columns: matrix = {values.data(), 1, rows + 2}; break;
      case Layout::rows_reversed: matrix = {values.data() + last_row * columns, -columns, 1}; break;
      case Layout::strided: matrix = {values.data(), 2 * columns, 2}; break;
    }
  }
  float at(std::int64_t row, std::int64_t column) const {
    return matrix.data[row * matrix.row + column * matrix.column];
  }

  std::vector<float> values;
  cpu::MatrixIn matrix{};
};

struct GemmCase {
  std::int64_t m, n, k;
  Layout a = Layout::rows;
  Layout b = Layout::columns;
  bool accumulate = false;
};

std::ostream& operator<<(std::ostream& out, const GemmCase& shape) {
  return out << shape.m << " x " << shape.n << " x " << shape.k << ", layouts " << static_cast<int>(shape.a) << " and "
             << static_cast<int>(shape.b);
}

constexpr std::int64_t kGap = 3;  // between rows of C; must stay as it is
constexpr float kUntouched = 1234.5F;

class Gemm : public testing::TestWithParam<CpuIsa> {
 protected:
  explicit Gemm() {
    for (int worker = 0; worker < team_.threads(); ++worker) scratch_.emplace_back(memory_);
  }

  std::vector<float> product(const GemmCase& shape, bool parallel) {
    const Operand a(shape.m, shape.k, shape.a, 1);
    const Operand b(shape.k, shape.n, shape.b, 2);
    return product(shape, a.matrix, b.matrix, parallel);
  }

  std::vector<float> product(const GemmCase& shape, cpu::MatrixIn a, cpu::MatrixIn b, bool parallel) {
    const std::int64_t c_row = shape.n + kGap;
    std::vector<float> c(static_cast<std::size_t>(shape.m * c_row), kUntouched);
    const cpu::GemmArgs args{.m = shape.m,
                             .n = shape.n,
                             .k = shape.k,
                             .a = a,
                             .b = b,
                             .c = c.data(),
                             .c_row = c_row,
                             .accumulate = shape.accumulate};
    if (parallel) {
      cpu::gemm_parallel(GetParam(), args, team_, scratch_.data());
    } else {
      cpu::gemm(GetParam(), args, scratch_[0]);
    }
    return c;
  }

  HostMemory memory_;
  ThreadTeam team_{3};
  std::vector<Workspace> scratch_;
};

// Sizes around every tile (4 x 8, 6 x 16, 8 x 32), one and more blocks of depth (256) and of columns (640).
std::vector<GemmCase> cases() {
  std::vector<GemmCase> all;
  for (const Layout a : {Layout::rows, Layout::columns, Layout::rows_reversed, Layout::strided}) {
    for (const Layout b : {Layout::rows, Layout::columns, Layout::rows_reversed, Layout::strided}) {
      for (const bool accumulate : {false, true}) {
        all.push_back({1, 1, 1, a, b, accumulate});
        all.push_back({8, 32, 64, a, b, accumulate});
        all.push_back({13, 37, 29, a, b, accumulate});
        all.push_back({25, 70, 300, a, b, accumulate});
      }
    }
  }
  all.push_back({70, 700, 513});
  all.push_back({27, 270, 1100});  // so deep that it is cut into parts
  all.push_back({45, 33, 1030, Layout::columns, Layout::rows, true});
  all.push_back({200, 5, 3});
  return all;
}

TEST_P(Gemm, AgreesWithSumsInDouble) {
  for (const GemmCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape);
    const Operand a(shape.m, shape.k, shape.a, 1);
    const Operand b(shape.k, shape.n, shape.b, 2);

    const std::vector<float> c = product(shape, false);

    for (std::int64_t m = 0; m < shape.m; ++m) {
      for (std::int64_t n = 0; n < shape.n; ++n) {
        double want = shape.accumulate ? static_cast<double>(kUntouched) : 0.0;
        double mass = std::fabs(want);
        for (std::int64_t k = 0; k < shape.k; ++k) {
          const double term = static_cast<double>(a.at(m, k)) * static_cast<double>(b.at(k, n));
          want += term;
          mass += std::fabs(term);
        }
        // A chain of sums is off by at most its length times half a unit in the last place of its mass; in practice by
        // about the square root of its length.
        const double bound = mass * 0x1p-24 * (4.0 + 2.0 * std::sqrt(static_cast<double>(shape.k)));
        ASSERT_NEAR(static_cast<double>(c[static_cast<std::size_t>(m * (shape.n + kGap) + n)]), want, bound)
            << m << ", " << n;
      }
      for (std::int64_t gap = 0; gap < kGap; ++gap) {
        ASSERT_EQ(c[static_cast<std::size_t>(m * (shape.n + kGap) + shape.n + gap)], kUntouched)
            << "wrote behind row " << m;
      }
    }
  }
}

TEST_P(Gemm, GivesTheSameBitsOnOneThreadAndOnMany) {
  for (const GemmCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape);

    EXPECT_EQ(product(shape, true), product(shape, false));
  }
  const GemmCase large{300, 700, 260, Layout::columns, Layout::rows};
  EXPECT_EQ(product(large, true), product(large, false));
}

TEST_P(Gemm, GivesAnElementTheSameBitsWhateverSurroundsIt) {
  const GemmCase shape{45, 77, 530};
  const Operand a(shape.m, shape.k, Layout::rows, 1);
  const Operand b(shape.k, shape.n, Layout::columns, 2);
  const std::vector<float> all = product(shape, a.matrix, b.matrix, false);

  for (const std::int64_t m : {0, 7, 8, 44}) {
    for (const std::int64_t n : {0, 31, 32, 76}) {
      const cpu::MatrixIn row{a.matrix.data + m * a.matrix.row, a.matrix.row, 1};
      const cpu::MatrixIn column{b.matrix.data + n * b.matrix.column, 1, b.matrix.column};

      const std::vector<float> alone = product({1, 1, shape.k}, row, column, false);

      EXPECT_EQ(alone[0], all[static_cast<std::size_t>(m * (shape.n + kGap) + n)]) << m << ", " << n;
    }
  }
}

TEST_P(Gemm, GivesTheSameBitsForEveryLayoutOfTheSameNumbers) {
  const GemmCase shape{29, 53, 300};
  const std::vector<float> a = normal_floats(shape.m * shape.k, 1);
  std::vector<float> a_transposed(a.size());
  for (std::int64_t m = 0; m < shape.m; ++m) {
    for (std::int64_t k = 0; k < shape.k; ++k) {
      a_transposed[static_cast<std::size_t>(k * shape.m + m)] = a[static_cast<std::size_t>(m * shape.k + k)];
    }
  }
  const Operand b(shape.k, shape.n, Layout::rows, 2);

  EXPECT_EQ(product(shape, {a_transposed.data(), 1, shape.m}, b.matrix, false),
            product(shape, {a.data(), shape.k, 1}, b.matrix, false));
}

TEST_P(Gemm, ClearsOrKeepsWhatHasNothingToSum) {
  const GemmCase cleared{2, 3, 0};
  const GemmCase kept{2, 3, 0, Layout::rows, Layout::columns, true};

  EXPECT_EQ(product(cleared, false), (std::vector<float>{0, 0, 0, kUntouched, kUntouched, kUntouched, 0, 0, 0,
                                                         kUntouched, kUntouched, kUntouched}));
  EXPECT_EQ(product(kept, true), std::vector<float>(12, kUntouched));
  EXPECT_TRUE(product({0, 3, 4}, false).empty());
}

std::vector<CpuIsa> instruction_sets() {
  std::vector<CpuIsa> all;
  for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
    if (has_cpu_isa(isa)) all.push_back(isa);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(On, Gemm, testing::ValuesIn(instruction_sets()),
                         [](const auto& isa) { return std::string(name_of(isa.param)); });

}  // namespace
}  // namespace strandline::test
