#include "core/ref/pseudo_inverse_ref.hpp"

#include <cmath>
#include <vector>

#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

template <class T>
struct Matrix {
  std::int64_t size = 0;
  std::vector<T> values;

  explicit Matrix(std::int64_t m) : size(m), values(static_cast<std::size_t>(m * m)) {}
  T& operator()(std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i * size + j)]; }
  T operator()(std::int64_t i, std::int64_t j) const { return values[static_cast<std::size_t>(i * size + j)]; }
};

template <class T>
Matrix<T> operator*(const Matrix<T>& a, const Matrix<T>& b) {
  Matrix<T> c(a.size);
  for (std::int64_t i = 0; i < a.size; ++i) {
    for (std::int64_t j = 0; j < a.size; ++j) {
      for (std::int64_t k = 0; k < a.size; ++k) c(i, j) += a(i, k) * b(k, j);
    }
  }
  return c;
}

template <class T>
Matrix<T> operator*(T factor, Matrix<T> a) {
  for (T& value : a.values) value *= factor;
  return a;
}

template <class T>
Matrix<T> operator+(Matrix<T> a, const Matrix<T>& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
  return a;
}

template <class T>
Matrix<T> transposed(const Matrix<T>& a) {
  Matrix<T> result(a.size);
  for (std::int64_t i = 0; i < a.size; ++i) {
    for (std::int64_t j = 0; j < a.size; ++j) result(j, i) = a(i, j);
  }
  return result;
}

/// factor * 1 - a
template <class T>
Matrix<T> unit_less(T factor, const Matrix<T>& a) {
  Matrix<T> result = T(-1) * a;
  for (std::int64_t i = 0; i < a.size; ++i) result(i, i) += factor;
  return result;
}

template <class T>
Matrix<T> read(const ConstView& view_hmm, std::int64_t h) {
  Matrix<T> a(view_hmm.size(1));
  for (std::int64_t i = 0; i < a.size; ++i) {
    for (std::int64_t j = 0; j < a.size; ++j) a(i, j) = at<T>(view_hmm, h, i, j);
  }
  return a;
}

template <class T>
void write(const Matrix<T>& a, const View& view_hmm, std::int64_t h) {
  for (std::int64_t i = 0; i < a.size; ++i) {
    for (std::int64_t j = 0; j < a.size; ++j) at<T>(view_hmm, h, i, j) = a(i, j);
  }
}

/// The largest sum of |a| over a line of any matrix, and which line it is.
template <class T>
struct Largest {
  T sum = -1;
  std::int64_t h = 0;
  std::int64_t line = 0;
};

enum class Line : bool { row, column };

template <class T>
Largest<T> largest_sum(const ConstView& a_hmm, Line along) {
  Largest<T> best;
  for (std::int64_t h = 0; h < a_hmm.size(0); ++h) {
    for (std::int64_t line = 0; line < a_hmm.size(1); ++line) {
      T sum = 0;
      for (std::int64_t k = 0; k < a_hmm.size(1); ++k) {
        sum += std::abs(along == Line::row ? at<T>(a_hmm, h, line, k) : at<T>(a_hmm, h, k, line));
      }
      if (sum > best.sum) best = {sum, h, line};
    }
  }
  return best;
}

/// The parts of one iteration: z' = z * third / 4.
template <class T>
struct Step {
  Matrix<T> z;
  Matrix<T> az;
  Matrix<T> first;
  Matrix<T> second;
  Matrix<T> third;

  Step(const Matrix<T>& a, const Matrix<T>& from)
      : z(from),
        az(a * z),
        first(unit_less(T(7), az)),
        second(unit_less(T(15), az * first)),
        third(unit_less(T(13), az * second)) {}
  Matrix<T> next() const { return T(0.25) * (z * third); }

  /// dz becomes the gradient of z from that of z'; da is added to.
  void backward(const Matrix<T>& a, Matrix<T>& dz, Matrix<T>& da) const {
    const Matrix<T> dthird = T(0.25) * (transposed(z) * dz);
    const Matrix<T> dsecond = T(-1) * (transposed(az) * dthird);
    const Matrix<T> dfirst = T(-1) * (transposed(az) * dsecond);
    const Matrix<T> daz = T(-1) * (dthird * transposed(second) + dsecond * transposed(first) + dfirst);
    dz = T(0.25) * (dz * transposed(third)) + transposed(a) * daz;
    da = da + daz * transposed(z);
  }
};

}  // namespace

template <class T>
void pseudo_inverse(const ops::PseudoInverseArgs& args) {
  const T scale = T(1) / (largest_sum<T>(args.a_hmm, Line::row).sum * largest_sum<T>(args.a_hmm, Line::column).sum);
  for (std::int64_t h = 0; h < args.a_hmm.size(0); ++h) {
    const Matrix<T> a = read<T>(args.a_hmm, h);
    Matrix<T> z = scale * transposed(a);
    for (std::int64_t i = 0; i < args.iterations; ++i) z = Step<T>(a, z).next();
    write(z, args.z_hmm, h);
  }
}

template <class T>
void pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) {
  const Largest<T> row = largest_sum<T>(args.a_hmm, Line::row);
  const Largest<T> column = largest_sum<T>(args.a_hmm, Line::column);
  const T scale = T(1) / (row.sum * column.sum);
  T dscale = 0;
  for (std::int64_t h = 0; h < args.a_hmm.size(0); ++h) {
    const Matrix<T> a = read<T>(args.a_hmm, h);
    std::vector<Step<T>> steps;
    Matrix<T> z = scale * transposed(a);
    for (std::int64_t i = 0; i < args.iterations; ++i) z = steps.emplace_back(a, z).next();
    Matrix<T> dz = read<T>(args.dz_hmm, h);
    Matrix<T> da(a.size);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) step->backward(a, dz, da);
    for (std::int64_t i = 0; i < a.size; ++i) {
      for (std::int64_t j = 0; j < a.size; ++j) dscale += dz(i, j) * a(j, i);
    }
    write(da + scale * transposed(dz), args.da_hmm, h);
  }
  for (std::int64_t k = 0; k < args.a_hmm.size(1); ++k) {
    const auto sign = [&](std::int64_t h, std::int64_t i, std::int64_t j) {
      const T value = at<T>(args.a_hmm, h, i, j);
      return value < T(0) ? T(-1) : T(value > T(0));
    };
    at<T>(args.da_hmm, row.h, row.line, k) -= dscale * scale / row.sum * sign(row.h, row.line, k);
    at<T>(args.da_hmm, column.h, k, column.line) -= dscale * scale / column.sum * sign(column.h, k, column.line);
  }
}

template void pseudo_inverse<double>(const ops::PseudoInverseArgs&);
template void pseudo_inverse<float>(const ops::PseudoInverseArgs&);
template void pseudo_inverse_backward<double>(const ops::PseudoInverseBackwardArgs&);
template void pseudo_inverse_backward<float>(const ops::PseudoInverseBackwardArgs&);

}  // namespace strandline::ref
