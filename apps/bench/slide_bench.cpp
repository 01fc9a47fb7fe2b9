// How fast patches come out of a slide: the reader alone, without looking at them.
//   slide_bench SLIDE SIDE [THREADS] [RUNS]
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "pipelines/slide/read_patches.hpp"

namespace {

using namespace strandline;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void run(const PatchReadPlan& plan, int threads) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = cpu_seconds();
  std::int64_t bytes = 0;
  const PatchReadCounts counts = read_patches(plan, {.threads = threads}, [&](ReadPatch&& patch) {
    bytes += static_cast<std::int64_t>(patch.pixels.pixels.size());
  });
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto tiles = static_cast<double>(counts.patches);
  std::printf("%lld tiles, %.0f tiles/s, %.0f tiles per CPU second, %.0f MB\n", static_cast<long long>(counts.patches),
              tiles / wall, tiles / (cpu_seconds() - cpu_start), static_cast<double>(bytes) * 1e-6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SLIDE SIDE [THREADS] [RUNS]\n", argv[0]);
    return 2;
  }
  try {
    const std::int64_t side = std::atoll(argv[2]);
    const SlideLevel level = open_slide(argv[1])->info().levels.front();
    PatchReadPlan plan{.path = argv[1], .read_px = side, .patch_px = side};
    for (std::int64_t y = 0; side > 0 && y < level.height; y += side) {
      for (std::int64_t x = 0; x < level.width; x += side) plan.places.push_back({x, y});
    }
    const int runs = argc > 4 ? std::atoi(argv[4]) : 5;
    for (int i = 0; i < runs; ++i) run(plan, argc > 3 ? std::atoi(argv[3]) : 1);
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf("%ld MB resident at most\n", usage.ru_maxrss / 1024);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
