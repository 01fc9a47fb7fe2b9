// Shapes and data of the scan's tests: one ScanCase is a shape, ScanData<T> its tensors, ScanGradients<T> their
// gradients.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/philox.hpp"
#include "core/ops/ssd_scan.hpp"

namespace strandline::test {

struct ScanCase {
  std::vector<std::int64_t> lengths;
  std::int64_t heads = 2;
  std::int64_t groups = 1;
  std::int64_t width = 16;
  std::int64_t states = 16;
  std::int64_t chunk = 64;
  bool reverse = false;
  ops::StepSize step{};
  bool with_initial_state = true;
  double dt_offset = 0.0;     ///< added to dt: large ones give large steps
  double a_log_offset = 0.0;  ///< added to a_log: large ones give strong decay
  std::uint64_t seed = 1;
};

std::string to_string(const ScanCase& scan);

/// The same draws for every T, so that a float case is the double case rounded.
template <class T>
std::vector<T> normal_values(std::int64_t count, std::uint64_t seed, std::uint64_t stream, double mean, double spread) {
  RandomStream random(seed, stream);
  std::vector<T> values(static_cast<std::size_t>(count));
  // Through float first: then float and double see the same numbers.
  for (T& value : values) value = static_cast<T>(static_cast<float>(mean + spread * random.normal()));
  return values;
}

template <class T>
ConstView const_view(const std::vector<T>& values, const Shape& shape) {
  return {values.data(), dtype_of<T>(), shape};
}

template <class T>
View view(std::vector<T>& values, const Shape& shape) {
  return {values.data(), dtype_of<T>(), shape};
}

template <class T>
struct ScanData {
  explicit ScanData(const ScanCase& scan_case) : scan(scan_case) {
    seq_begin.push_back(0);
    for (const std::int64_t length : scan.lengths) seq_begin.push_back(seq_begin.back() + length);
    const std::int64_t t = tokens();
    const std::int64_t cells = sequences() * scan.heads * scan.width * scan.states;
    const double unit = 1.0 / std::sqrt(static_cast<double>(scan.states));
    x = normal_values<T>(t * scan.heads * scan.width, scan.seed, 1, 0, 1);
    dt = normal_values<T>(t * scan.heads, scan.seed, 2, -2 + scan.dt_offset, 1);
    a_log = normal_values<T>(scan.heads, scan.seed, 3, scan.a_log_offset, 1);
    b = normal_values<T>(t * scan.groups * scan.states, scan.seed, 4, 0, unit);
    c = normal_values<T>(t * scan.groups * scan.states, scan.seed, 5, 0, unit);
    d = normal_values<T>(scan.heads, scan.seed, 6, 1, 0.5);
    dt_bias = normal_values<T>(scan.heads, scan.seed, 7, 0, 0.5);
    initial_state = normal_values<T>(cells, scan.seed, 8, 0, 1);
    dy = normal_values<T>(t * scan.heads * scan.width, scan.seed, 9, 0, 1);
    dfinal_state = normal_values<T>(cells, scan.seed, 10, 0, 1);
    y.assign(x.size(), T(0));
    final_state.assign(static_cast<std::size_t>(cells), T(0));
  }

  std::int64_t tokens() const { return seq_begin.back(); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(scan.lengths.size()); }
  Shape x_shape() const { return {tokens(), scan.heads, scan.width}; }
  Shape dt_shape() const { return {tokens(), scan.heads}; }
  Shape b_shape() const { return {tokens(), scan.groups, scan.states}; }
  Shape state_shape() const { return {sequences(), scan.heads, scan.width, scan.states}; }

  ops::SsdScanArgs forward() {
    ops::SsdScanArgs args{.x_thp = const_view(x, x_shape()),
                          .dt_th = const_view(dt, dt_shape()),
                          .a_log_h = const_view(a_log, {scan.heads}),
                          .b_tgn = const_view(b, b_shape()),
                          .c_tgn = const_view(c, b_shape()),
                          .d_h = const_view(d, {scan.heads}),
                          .dt_bias_h = const_view(dt_bias, {scan.heads}),
                          .step = scan.step,
                          .seq_begin = seq_begin,
                          .reverse = scan.reverse,
                          .chunk = scan.chunk,
                          .final_state_shpn = view(final_state, state_shape()),
                          .y_thp = view(y, x_shape())};
    if (scan.with_initial_state) args.initial_state_shpn = const_view(initial_state, state_shape());
    return args;
  }

  ScanCase scan;
  std::vector<std::int64_t> seq_begin;
  std::vector<T> x, dt, a_log, b, c, d, dt_bias, initial_state, dy, dfinal_state;
  std::vector<T> y, final_state;
};

template <class T>
struct ScanGradients {
  explicit ScanGradients(const ScanData<T>& data)
      : dx(data.x.size()),
        ddt(data.dt.size()),
        da_log(data.a_log.size()),
        db(data.b.size()),
        dc(data.c.size()),
        dd(data.d.size()),
        ddt_bias(data.dt_bias.size()),
        dinitial_state(data.initial_state.size()) {}

  ops::SsdScanBackwardArgs backward(ScanData<T>& data) {
    return {.forward = data.forward(),
            .dy_thp = const_view(data.dy, data.x_shape()),
            .dfinal_state_shpn = const_view(data.dfinal_state, data.state_shape()),
            .dx_thp = view(dx, data.x_shape()),
            .ddt_th = view(ddt, data.dt_shape()),
            .da_log_h = view(da_log, {data.scan.heads}),
            .db_tgn = view(db, data.b_shape()),
            .dc_tgn = view(dc, data.b_shape()),
            .dd_h = view(dd, {data.scan.heads}),
            .ddt_bias_h = view(ddt_bias, {data.scan.heads}),
            .dinitial_state_shpn = view(dinitial_state, data.state_shape())};
  }

  std::vector<T> dx, ddt, da_log, db, dc, dd, ddt_bias, dinitial_state;
};

/// Largest difference, relative to the largest value of the truth.
template <class A, class B>
double relative_error(const std::vector<A>& values, const std::vector<B>& truth) {
  double worst = 0.0;
  double scale = 1e-300;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(values[i]) - static_cast<double>(truth[i]));
    worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
    scale = std::max(scale, std::fabs(static_cast<double>(truth[i])));
  }
  return worst / scale;
}

/// Small enough for finite differences over every input.
std::vector<ScanCase> tiny_scan_cases();
/// Small enough for the quadratic form.
std::vector<ScanCase> small_scan_cases();
/// Awkward lengths, packs, groups, heads, widths and steps: what every back end must get right.
std::vector<ScanCase> scan_cases();

}  // namespace strandline::test
