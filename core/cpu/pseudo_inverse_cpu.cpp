#include "core/cpu/pseudo_inverse_cpu.hpp"

#include <cmath>
#include <vector>

#include "core/cpu/gemm.hpp"
#include "core/cpu/rows.hpp"

// Matrix after matrix, each product on the whole team: with 256 landmarks a product is 34 million operations, enough
// for every thread, and the scratch is that of one matrix (the backward keeps five a step: 8 MB for 6 steps).
namespace strandline::cpu {
namespace {

/// What all matrices share.
struct Largest {
  float sum = -1.0F;
  std::int64_t h = 0;
  std::int64_t line = 0;
};

/// Element k of line `line` is a[line * step + k * inner].
struct Lines {
  std::int64_t step;
  std::int64_t inner;
};

Largest largest_sum(const ConstView& a_hmm, const Lines& lines) {
  const std::int64_t m = a_hmm.size(1);
  Largest best;
  for (std::int64_t h = 0; h < a_hmm.size(0); ++h) {
    const float* a = a_hmm.as<float>() + h * m * m;
    for (std::int64_t line = 0; line < m; ++line) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < m; ++k)
        sum += static_cast<double>(std::fabs(a[line * lines.step + k * lines.inner]));
      if (static_cast<float>(sum) > best.sum) best = {static_cast<float>(sum), h, line};
    }
  }
  return best;
}

enum class As : bool { is, transposed };

/// Products of square matrices of one size.
class Square {
 public:
  Square(CpuContext& context, std::int64_t m) : context_(context), m_(m) {}

  float* take() { return context_.scratch[0].take(DType::f32, {m_ * m_}).as<float>(); }
  std::int64_t elements() const { return m_ * m_; }

  struct Factor {
    const float* data;
    As as = As::is;
  };
  /// c (+)= a b
  void multiply(const Factor& a, const Factor& b, float* c, bool accumulate = false) {
    gemm_parallel(
        context_.isa,
        {.m = m_, .n = m_, .k = m_, .a = matrix(a), .b = matrix(b), .c = c, .c_row = m_, .accumulate = accumulate},
        context_.team, context_.scratch.data());
  }
  void scale(float factor, float* a) { context_.simd.scale(elements(), factor, a, a); }
  /// a = factor * 1 - a
  void unit_less(float factor, float* a) {
    scale(-1.0F, a);
    for (std::int64_t i = 0; i < m_; ++i) a[i * m_ + i] += factor;
  }
  /// to = factor * from^T
  void transpose(float factor, const float* from, float* to) const {
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < m_; ++j) to[i * m_ + j] = factor * from[j * m_ + i];
    }
  }

 private:
  MatrixIn matrix(const Factor& factor) const {
    return factor.as == As::is ? MatrixIn{factor.data, m_, 1} : MatrixIn{factor.data, 1, m_};
  }

  CpuContext& context_;
  std::int64_t m_;
};

/// The parts of one iteration, in scratch: z' = z third / 4.
struct Step {
  float* z;
  float* az;
  float* first;
  float* second;
  float* third;

  explicit Step(Square& square)
      : z(square.take()), az(square.take()), first(square.take()), second(square.take()), third(square.take()) {}

  /// Fills all but z, and next.
  void run(Square& square, const float* a, float* next) const {
    square.multiply({a}, {z}, az);
    std::copy_n(az, square.elements(), first);
    square.unit_less(7.0F, first);
    square.multiply({az}, {first}, second);
    square.unit_less(15.0F, second);
    square.multiply({az}, {second}, third);
    square.unit_less(13.0F, third);
    square.multiply({z}, {third}, next);
    square.scale(0.25F, next);
  }
};

/// Scratch of the backward of a step.
struct StepGradients {
  float* dthird;
  float* dsecond;
  float* dfirst;
  float* daz;
  float* dz;

  explicit StepGradients(Square& square)
      : dthird(square.take()), dsecond(square.take()), dfirst(square.take()), daz(square.take()), dz(square.take()) {}

  /// dz, the gradient of z', becomes that of z; da is added to.
  void run(Square& square, const Step& step, const float* a, float* da) {
    square.multiply({step.z, As::transposed}, {dz}, dthird);
    square.scale(0.25F, dthird);
    square.multiply({step.az, As::transposed}, {dthird}, dsecond);
    square.scale(-1.0F, dsecond);
    square.multiply({step.az, As::transposed}, {dsecond}, dfirst);
    square.scale(-1.0F, dfirst);
    std::copy_n(dfirst, square.elements(), daz);
    square.multiply({dthird}, {step.second, As::transposed}, daz, true);
    square.multiply({dsecond}, {step.first, As::transposed}, daz, true);
    square.scale(-1.0F, daz);
    float* dnext = dfirst;  // not read any more
    square.multiply({dz}, {step.third, As::transposed}, dnext);
    square.scale(0.25F, dnext);
    square.multiply({a, As::transposed}, {daz}, dnext, true);
    square.multiply({daz}, {step.z, As::transposed}, da, true);
    std::swap(dz, dfirst);
  }
};

}  // namespace

void pseudo_inverse(CpuContext& context, const ops::PseudoInverseArgs& args) {
  const std::int64_t m = args.a_hmm.size(1);
  const float scale = 1.0F / (largest_sum(args.a_hmm, {m, 1}).sum * largest_sum(args.a_hmm, {1, m}).sum);
  const Workspace::Scope scope(context.scratch[0]);
  Square square(context, m);
  const Step step(square);
  for (std::int64_t h = 0; h < args.a_hmm.size(0); ++h) {
    const float* a = args.a_hmm.as<float>() + h * m * m;
    float* z = args.z_hmm.as<float>() + h * m * m;
    square.transpose(scale, a, z);
    for (std::int64_t i = 0; i < args.iterations; ++i) {
      std::copy_n(z, square.elements(), step.z);
      step.run(square, a, z);
    }
  }
}

void pseudo_inverse_backward(CpuContext& context, const ops::PseudoInverseBackwardArgs& args) {
  const std::int64_t m = args.a_hmm.size(1);
  const Largest row = largest_sum(args.a_hmm, {m, 1});
  const Largest column = largest_sum(args.a_hmm, {1, m});
  const float scale = 1.0F / (row.sum * column.sum);
  const Workspace::Scope scope(context.scratch[0]);
  Square square(context, m);
  std::vector<Step> steps;
  for (std::int64_t i = 0; i < args.iterations; ++i) steps.emplace_back(square);
  StepGradients gradients(square);
  float* spare = square.take();
  double dscale = 0.0;
  for (std::int64_t h = 0; h < args.a_hmm.size(0); ++h) {
    const float* a = args.a_hmm.as<float>() + h * m * m;
    float* da = args.da_hmm.as<float>() + h * m * m;
    square.transpose(scale, a, steps.front().z);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      steps[i].run(square, a, i + 1 < steps.size() ? steps[i + 1].z : spare);
    }
    std::copy_n(args.dz_hmm.as<float>() + h * m * m, m * m, gradients.dz);
    std::fill_n(da, m * m, 0.0F);
    for (std::size_t i = steps.size(); i-- > 0;) gradients.run(square, steps[i], a, da);
    square.transpose(1.0F, gradients.dz, spare);
    for (std::int64_t i = 0; i < m * m; ++i) dscale += static_cast<double>(spare[i]) * static_cast<double>(a[i]);
    context.simd.add_scaled(m * m, scale, spare, da);
  }
  const auto pull = [&](const Largest& largest, std::int64_t index) {
    const float value = args.a_hmm.as<float>()[index];
    const auto change = static_cast<float>(dscale) * scale / largest.sum;
    args.da_hmm.as<float>()[index] -= value < 0.0F ? -change : (value > 0.0F ? change : 0.0F);
  };
  for (std::int64_t k = 0; k < m; ++k) {
    pull(row, (row.h * m + row.line) * m + k);
    pull(column, (column.h * m + k) * m + column.line);
  }
}

}  // namespace strandline::cpu
