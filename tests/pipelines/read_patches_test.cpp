// Patches read ahead on threads: the pixels of one read each, bad tiles, order, stopping.
#include <gtest/gtest.h>
#include <tiffio.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/images/resize.hpp"
#include "io/images/tiff_pyramid_writer.hpp"
#include "pipelines/slide/overview.hpp"
#include "pipelines/slide/read_patches.hpp"
#include "pipelines/stages/map_in_order.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/slide_files.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::message_of;
using testing::pixel;
using testing::TemporaryFolder;
using testing::test_colour;

constexpr std::int64_t kSide = 600;

std::string make_slide(const TemporaryFolder& folder) {
  write_tiff_pyramid(folder / "a.tiff", {kSide, kSide},
                     {.spacing_um = 0.5, .tile = 64, .compression = TiffPyramidOptions::Compression::deflate},
                     [](const ImageBox& box, RgbImage& out) {
                       for (std::int64_t y = 0; y < box.height; ++y) {
                         for (std::int64_t x = 0; x < box.width; ++x) {
                           const Rgb colour = test_colour(box.x + x, box.y + y);
                           std::copy(colour.begin(), colour.end(), out.at(x, y));
                         }
                       }
                     });
  return folder / "a.tiff";
}

// Overwrites the tile of level 0 that has the pixel x, y.
void spoil(const std::string& path, std::uint32_t x, std::uint32_t y) {
  TIFF* tiff = TIFFOpen(path.c_str(), "r");
  const std::uint32_t tile = TIFFComputeTile(tiff, x, y, 0, 0);
  const std::uint64_t offset = TIFFGetStrileOffset(tiff, tile);
  const std::uint64_t size = TIFFGetStrileByteCount(tiff, tile);
  TIFFClose(tiff);
  std::string bytes = testing::bytes_of(path);
  for (std::uint64_t i = 0; i < size; ++i) bytes[offset + i] = '\xff';
  testing::put_bytes(path, bytes);
}

PatchReadPlan plan_of(const std::string& path, std::int64_t step) {
  PatchReadPlan plan{.path = path, .read_px = 50, .patch_px = 50};
  for (std::int64_t y = 0; y < kSide; y += step) {
    for (std::int64_t x = 0; x < kSide; x += step) plan.places.push_back({x, y});
  }
  return plan;
}

TEST(ReadPatches, GivesThePixelsOfOneReadEach) {
  const TemporaryFolder folder;
  const PatchReadPlan plan = plan_of(make_slide(folder), 37);  // neighbours overlap, the last ones overrun the slide
  const auto slide = open_slide(plan.path);

  for (const std::int64_t block_px : {50, 130, 4096}) {
    std::set<std::int64_t> seen;
    const PatchReadCounts counts = read_patches(plan, {.block_px = block_px}, [&](ReadPatch&& patch) {
      const PatchPlace place = plan.places[static_cast<std::size_t>(patch.index)];
      RgbImage alone;
      slide->read({place.x_l0px, place.y_l0px, 0, 50, 50}, alone);
      EXPECT_EQ(patch.pixels.pixels, alone.pixels) << patch.index;
      seen.insert(patch.index);
    });
    EXPECT_EQ(seen.size(), plan.places.size());
    EXPECT_EQ(counts.patches, static_cast<std::int64_t>(plan.places.size()));
    EXPECT_EQ(counts.bad, 0);
  }
}

TEST(ReadPatches, GivesTheSameOrderForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  const PatchReadPlan plan = plan_of(make_slide(folder), 50);
  const auto order = [&](int threads) {
    std::vector<std::int64_t> indices;
    read_patches(plan, {.threads = threads, .block_px = 100},
                 [&](ReadPatch&& patch) { indices.push_back(patch.index); });
    return indices;
  };

  const std::vector<std::int64_t> one = order(1);

  EXPECT_EQ(one.size(), plan.places.size());
  for (const int threads : {2, 3, 8, 100}) EXPECT_EQ(order(threads), one) << threads;
}

TEST(ReadPatches, ResizesWhenTheLevelIsFinerThanAskedFor) {
  const TemporaryFolder folder;
  PatchReadPlan plan = plan_of(make_slide(folder), 300);
  plan.patch_px = 25;
  RgbImage alone;
  open_slide(plan.path)->read({300, 0, 0, 50, 50}, alone);

  read_patches(plan, {}, [&](ReadPatch&& patch) {
    EXPECT_EQ(patch.pixels.width, 25);
    if (patch.index == 1) {
      EXPECT_EQ(patch.pixels.pixels, resized(alone, {25, 25}).pixels);
    }
  });
}

TEST(ReadPatches, DoesWithABadTileWhatItIsTold) {
  const TemporaryFolder folder;
  PatchReadPlan plan = plan_of(make_slide(folder), 50);
  plan.slide.background = Rgb{1, 2, 3};
  spoil(plan.path, 330, 330);  // the tile of [320, 384) each way, which patches at 300 and 350 touch
  std::set<std::int64_t> bad;
  const auto read = [&](OnBadTile what) {
    bad.clear();
    return read_patches(plan, {.threads = 2, .on_bad_tile = what}, [&](ReadPatch&& patch) {
      const PatchPlace place = plan.places[static_cast<std::size_t>(patch.index)];
      if (!patch.bad) {
        ASSERT_EQ(pixel(patch.pixels, 0, 0), test_colour(place.x_l0px, place.y_l0px));
        return;
      }
      bad.insert(patch.index);
      ASSERT_EQ(patch.pixels.pixels.empty(), what == OnBadTile::skip);
      if (what == OnBadTile::mask) {
        ASSERT_EQ(pixel(patch.pixels, 49, 49), (Rgb{1, 2, 3}));
      }
    });
  };

  for (const OnBadTile what : {OnBadTile::skip, OnBadTile::mask}) {
    const PatchReadCounts counts = read(what);
    EXPECT_EQ(counts.patches, 144);
    EXPECT_EQ(counts.bad, 4);
    EXPECT_EQ(bad, (std::set<std::int64_t>{78, 79, 90, 91}));  // rows 6 and 7 of 12, columns 6 and 7
    EXPECT_THAT(counts.first_problem, ::testing::HasSubstr("cannot be read"));
  }
  EXPECT_THAT(message_of<DataError>([&] { read(OnBadTile::error); }), ::testing::HasSubstr("cannot be read"));
}

TEST(ReadPatches, StopsWhenAskedTo) {
  const TemporaryFolder folder;
  const PatchReadPlan plan = plan_of(make_slide(folder), 50);
  std::stop_source source;
  int used = 0;

  EXPECT_THROW(read_patches(plan, {.threads = 2, .block_px = 50, .stop = source.get_token()},
                            [&](ReadPatch&&) {
                              ++used;
                              source.request_stop();
                            }),
               InterruptedError);
  EXPECT_LT(used, 144);
}

TEST(ReadPatches, RefusesPlansThatCannotBe) {
  const TemporaryFolder folder;
  PatchReadPlan plan = plan_of(make_slide(folder), 50);

  plan.level = 9;
  EXPECT_THROW(read_patches(plan, {}, [](ReadPatch&&) {}), ContractError);
  plan.level = 0;
  plan.read_px = 0;
  EXPECT_THROW(read_patches(plan, {}, [](ReadPatch&&) {}), ContractError);
  plan.places.clear();
  EXPECT_EQ(read_patches(plan, {}, [](ReadPatch&&) {}).patches, 0);
}

TEST(ReadPatches, AgreesWithOpenSlidePythonOnARealSlide) {
  const std::string path = std::string(STRANDLINE_SHARED_DATA) + "/wsi/CMU-1-Small-Region.svs";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared test data: " << path;
  // x, y, width, height, SHA-256 of the RGB bytes; made by tests/parity/make_tile_checksums.py.
  std::ifstream table(STRANDLINE_SLIDE_GOLDEN);
  std::string line;
  std::getline(table, line);
  int regions = 0;
  const auto slide = open_slide(path);
  SlideRegion region;
  std::string wanted;
  for (; table >> region.x_l0px >> region.y_l0px >> region.width >> region.height >> wanted; ++regions) {
    RgbImage alone;
    slide->read(region, alone);
    EXPECT_EQ(sha256(alone.pixels.data(), alone.pixels.size()), wanted) << region.x_l0px << " " << region.y_l0px;
    if (region.width != region.height) continue;
    // The same through the blocks that read_patches reads: as one of two neighbours.
    PatchReadPlan plan{.path = path, .read_px = region.width, .patch_px = region.width};
    plan.places = {{region.x_l0px - 13, region.y_l0px - 7}, {region.x_l0px, region.y_l0px}};
    read_patches(plan, {}, [&](ReadPatch&& patch) {
      if (patch.index == 1) {
        EXPECT_EQ(sha256(patch.pixels.pixels.data(), patch.pixels.pixels.size()), wanted);
      }
    });
  }
  EXPECT_EQ(regions, 51);
}

TEST(Overview, IsTheLevelItself) {
  const TemporaryFolder folder;
  const std::string path = make_slide(folder);
  const SlideInfo info = open_slide(path)->info();
  RgbImage level;
  open_slide(path)->read({.level = 2, .width = 150, .height = 150}, level);

  const Overview overview = read_overview(info, {}, {.downsample = 5.0, .read = {.threads = 3}});

  EXPECT_EQ(overview.picture.pixels, level.pixels);
  EXPECT_EQ(overview.scale_x, 4.0);
}

TEST(Overview, ShrinksWhatIsTooLarge) {
  const TemporaryFolder folder;
  const std::string path = make_slide(folder);
  const SlideInfo info = open_slide(path)->info();
  RgbImage whole;
  open_slide(path)->read({.width = kSide, .height = kSide}, whole);

  const Overview overview = read_overview(info, {}, {.downsample = 1.0, .max_pixels = 200 * 200});

  EXPECT_EQ(overview.scale_y, 3.0);
  EXPECT_EQ(overview.picture.pixels, resized(whole, {200, 200}).pixels);
}

TEST(MapInOrder, KeepsTheOrderAndBoundsWhatIsAhead) {
  std::atomic<std::int64_t> made = 0;
  std::int64_t used = 0;

  map_in_order<std::int64_t>(
      1000, {.threads = 4, .ahead = 2},
      [&] {
        return [&](std::int64_t i) {
          ++made;
          return i;
        };
      },
      [&](std::int64_t item) {
        EXPECT_EQ(item, used);
        ++used;
        EXPECT_LE(made - used, 4 * 3);  // per thread: two waiting and one in hand
      });

  EXPECT_EQ(used, 1000);
}

TEST(MapInOrder, PassesFailuresOnAndEnds) {
  const auto run = [](std::int64_t fails_at, std::int64_t use_fails_at) {
    map_in_order<std::int64_t>(
        100, {.threads = 3, .ahead = 1},
        [&] {
          return [&](std::int64_t i) {
            if (i == fails_at) throw ContractError("made");
            return i;
          };
        },
        [&](std::int64_t item) {
          if (item == use_fails_at) throw ContractError("used");
        });
  };

  EXPECT_EQ(message_of<ContractError>([&] { run(40, -1); }), "made");
  EXPECT_EQ(message_of<ContractError>([&] { run(-1, 40); }), "used");
  EXPECT_NO_THROW(run(-1, -1));
}

}  // namespace
}  // namespace strandline
