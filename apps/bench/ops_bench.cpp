// ops_bench [threads] [repeats]: checks the sequence operations of the CPU back end against the reference, then times
// them. Wall time and processor time of the fastest repeat: on a shared machine the second is the one to compare.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/tensor/buffer.hpp"

namespace strandline::bench {
namespace {

struct BenchShape {
  std::vector<std::int64_t> lengths;
  std::int64_t heads = 8;
  std::int64_t width = 64;
  std::int64_t states = 128;
};

std::string name_of(const BenchShape& shape) {
  char text[96];
  std::snprintf(text, sizeof(text), "%zu x %lld tokens, H %lld P %lld N %lld", shape.lengths.size(),
                static_cast<long long>(shape.lengths[0]), static_cast<long long>(shape.heads),
                static_cast<long long>(shape.width), static_cast<long long>(shape.states));
  return text;
}

/// Tensors of one call, in the type of one back end.
class Tensors {
 public:
  explicit Tensors(Backend& backend) : backend_(backend) {}

  View normal(const Shape& shape, double mean, double spread) {
    RandomStream random(1, buffers_.size());
    std::vector<float> single(static_cast<std::size_t>(shape.elements()));
    for (float& value : single) value = static_cast<float>(mean + spread * random.normal());
    buffers_.emplace_back(backend_.memory(), backend_.dtype(), shape);
    if (backend_.dtype() == DType::f32) {
      buffers_.back().upload(single.data());
    } else {
      const std::vector<double> wide(single.begin(), single.end());
      buffers_.back().upload(wide.data());
    }
    return buffers_.back().view();
  }

 private:
  Backend& backend_;
  std::vector<Buffer> buffers_;
};

struct Calls {
  std::function<void()> forward;
  std::function<void()> backward;
  View y;
};

std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets{0};
  for (const std::int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

Calls scan_calls(Backend& backend, Tensors& tensors, const BenchShape& shape,
                 const std::vector<std::int64_t>& offsets) {
  const std::int64_t t = offsets.back();
  const Shape x{t, shape.heads, shape.width};
  const Shape b{t, 1, shape.states};
  const double unit = 1.0 / std::sqrt(static_cast<double>(shape.states));
  ops::SsdScanArgs args{.x_thp = tensors.normal(x, 0, 1),
                        .dt_th = tensors.normal({t, shape.heads}, -2, 1),
                        .a_log_h = tensors.normal({shape.heads}, 0, 1),
                        .b_tgn = tensors.normal(b, 0, unit),
                        .c_tgn = tensors.normal(b, 0, unit),
                        .d_h = tensors.normal({shape.heads}, 1, 0.5),
                        .seq_begin = offsets,
                        .y_thp = tensors.normal(x, 0, 1)};
  const ops::SsdScanBackwardArgs gradients{.forward = args,
                                           .dy_thp = tensors.normal(x, 0, 1),
                                           .dx_thp = tensors.normal(x, 0, 1),
                                           .ddt_th = tensors.normal({t, shape.heads}, 0, 1),
                                           .da_log_h = tensors.normal({shape.heads}, 0, 1),
                                           .db_tgn = tensors.normal(b, 0, 1),
                                           .dc_tgn = tensors.normal(b, 0, 1),
                                           .dd_h = tensors.normal({shape.heads}, 0, 1)};
  return {[&backend, args] { ops::ssd_scan(backend, args); },
          [&backend, gradients] { ops::ssd_scan_backward(backend, gradients); }, args.y_thp};
}

Calls conv_calls(Backend& backend, Tensors& tensors, const BenchShape& shape,
                 const std::vector<std::int64_t>& offsets) {
  const std::int64_t channels = shape.heads * shape.width + 2 * shape.states;
  const Shape x{offsets.back(), channels};
  const ops::Conv1dArgs args{.x_tc = tensors.normal(x, 0, 1),
                             .weight_ck = tensors.normal({channels, 4}, 0, 0.5),
                             .bias_c = tensors.normal({channels}, 0, 1),
                             .seq_begin = offsets,
                             .y_tc = tensors.normal(x, 0, 1)};
  const ops::Conv1dBackwardArgs gradients{.x_tc = args.x_tc,
                                          .weight_ck = args.weight_ck,
                                          .bias_c = args.bias_c,
                                          .seq_begin = offsets,
                                          .dy_tc = tensors.normal(x, 0, 1),
                                          .dx_tc = tensors.normal(x, 0, 1),
                                          .dweight_ck = tensors.normal({channels, 4}, 0, 1),
                                          .dbias_c = tensors.normal({channels}, 0, 1)};
  return {[&backend, args] { ops::conv1d(backend, args); },
          [&backend, gradients] { ops::conv1d_backward(backend, gradients); }, args.y_tc};
}

using MakeCalls = Calls (*)(Backend&, Tensors&, const BenchShape&, const std::vector<std::int64_t>&);

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void time_call(const char* what, const std::function<void()>& call, int repeats) {
  call();
  double wall_ms = INFINITY;
  double processor_ms = INFINITY;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    const double processor_begin = processor_seconds();
    call();
    processor_ms = std::min(processor_ms, 1e3 * (processor_seconds() - processor_begin));
    const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - begin;
    wall_ms = std::min(wall_ms, wall.count());
  }
  std::printf("  %-9s %9.2f ms wall %9.2f ms processor\n", what, wall_ms, processor_ms);
}

/// Largest error of y against the reference in double, relative to the largest y, on the first 200 tokens of the shape.
double error_of(MakeCalls make, BenchShape shape) {
  shape.lengths = {200};
  const std::vector<std::int64_t> offsets = offsets_of(shape.lengths);
  const auto truth = make_ref_backend();
  const auto cpu = make_cpu_backend();
  Tensors wide(*truth);
  Tensors single(*cpu);
  const Calls want = make(*truth, wide, shape, offsets);
  const Calls got = make(*cpu, single, shape, offsets);
  want.forward();
  got.forward();
  double worst = 0.0;
  double largest = 0.0;
  for (std::int64_t i = 0; i < want.y.elements(); ++i) {
    worst = std::max(worst, std::fabs(want.y.as<double>()[i] - static_cast<double>(got.y.as<float>()[i])));
    largest = std::max(largest, std::fabs(want.y.as<double>()[i]));
  }
  return worst / largest;
}

void run(const char* op, MakeCalls make, const BenchShape& shape, const CpuOptions& options, int repeats) {
  const double error = error_of(make, shape);
  std::printf("%s, %s: error %.1e%s\n", op, name_of(shape).c_str(), error, error < 1e-5 ? "" : " IS TOO LARGE");
  const std::vector<std::int64_t> offsets = offsets_of(shape.lengths);
  const auto backend = make_cpu_backend(options);
  Tensors tensors(*backend);
  const Calls calls = make(*backend, tensors, shape, offsets);
  time_call("forward", calls.forward, repeats);
  time_call("backward", calls.backward, repeats);
}

}  // namespace
}  // namespace strandline::bench

int main(int argc, char** argv) {
  using namespace strandline;
  using namespace strandline::bench;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 10;
  const CpuOptions options{.threads = threads, .isa = best_cpu_isa()};
  std::printf("%s, %d threads\n", std::string(name_of(options.isa)).c_str(),
              threads > 0 ? threads : available_threads());
  for (const BenchShape& shape :
       {BenchShape{.lengths = {4096}}, BenchShape{.lengths = std::vector<std::int64_t>(41, 100)},
        BenchShape{.lengths = {4096}, .states = 64}}) {
    run("ssd_scan", scan_calls, shape, options, repeats);
  }
  run("conv1d", conv_calls, {.lengths = {4096}}, options, repeats);
  return 0;
}
