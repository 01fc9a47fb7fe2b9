// Level, tissue and grid: the rules, on pictures small enough to count.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "pipelines/slide/choose_level.hpp"
#include "pipelines/slide/patch_grid.hpp"
#include "pipelines/slide/tissue_mask.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::message_of;

SlideInfo pyramid(double spacing_um) {
  SlideInfo info;
  info.path = "a.svs";
  info.spacing_um = spacing_um;
  info.levels = {{.width = 40000, .height = 30000},
                 {.width = 10000, .height = 7500, .downsample = 4.0},
                 {.width = 2500, .height = 1875, .downsample = 16.0}};
  return info;
}

TEST(ChooseLevel, TakesTheCoarsestThatIsStillFineEnough) {
  const LevelChoice same = choose_level(pyramid(0.25), {.spacing_um = 0.25});
  const LevelChoice between = choose_level(pyramid(0.25), {.spacing_um = 0.5});
  const LevelChoice exact = choose_level(pyramid(0.25), {.spacing_um = 1.0});
  const LevelChoice beyond = choose_level(pyramid(0.25), {.spacing_um = 8.0, .patch_px = 128});

  EXPECT_EQ(same.level, 0);
  EXPECT_EQ(same.read_px, 256);
  EXPECT_EQ(between.level, 0);
  EXPECT_EQ(between.read_px, 512);  // two pixels become one
  EXPECT_EQ(between.patch_l0px, 512);
  EXPECT_EQ(exact.level, 1);
  EXPECT_EQ(exact.read_px, 256);
  EXPECT_EQ(exact.patch_l0px, 1024);
  EXPECT_EQ(beyond.level, 2);
  EXPECT_EQ(beyond.read_px, 256);  // 8 / 0.25 = 32 = 16 * 2
  EXPECT_EQ(beyond.patch_l0px, 4096);
}

TEST(ChooseLevel, LeavesPixelsAloneWithinTheTolerance) {
  const LevelChoice near = choose_level(pyramid(0.499), {.spacing_um = 0.5});
  const LevelChoice strict = choose_level(pyramid(0.499), {.spacing_um = 0.5, .tolerance = 0.0});

  EXPECT_EQ(near.read_px, 256);
  EXPECT_EQ(near.patch_l0px, 256);
  EXPECT_EQ(strict.read_px, 257);  // 256 * 0.5 / 0.499 = 256.51
}

TEST(ChooseLevel, InventsNoPixels) {
  EXPECT_THAT(message_of<DataError>([] { choose_level(pyramid(0.5), {.spacing_um = 0.25}); }),
              ::testing::ContainsRegex("a.svs: .*0.5 um per pixel, coarser than the 0.25 um.*--mpp 0.5"));
  SlideInfo unknown = pyramid(0.5);
  unknown.spacing_um.reset();
  EXPECT_THROW(choose_level(unknown, {}), DataError);
}

TEST(ChooseLevel, NamesMagnificationsAsTridentDoes) {
  EXPECT_EQ(magnification_of(0.12), 80);
  EXPECT_EQ(magnification_of(0.25), 40);
  EXPECT_EQ(magnification_of(0.5), 20);
  EXPECT_EQ(magnification_of(1.0), 10);
  EXPECT_EQ(magnification_of(2.4), 0);
}

// White, with pink where `tissue`; one pixel stands for 64 x 64 level-0 pixels, so that 64 pixels are one area of 512.
Overview painted(std::int64_t width, std::int64_t height,
                 const std::function<bool(std::int64_t, std::int64_t)>& tissue) {
  Overview overview;
  overview.picture = RgbImage(width, height, 255);
  overview.scale_x = overview.scale_y = 64.0;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      if (!tissue(x, y)) continue;
      overview.picture.at(x, y)[1] = 120;
    }
  }
  return overview;
}

// No median filter and no closing, so that areas can be counted.
TissueRules plain_rules() { return {.median_px = 1, .close_px = 0, .min_tissue_patches = 0, .min_hole_patches = 0}; }

bool within(std::int64_t value, std::int64_t begin, std::int64_t end) { return value >= begin && value < end; }

TEST(FindTissue, FindsAPieceAndScalesItToLevelZero) {
  const Overview overview = painted(60, 50, [](auto x, auto y) { return within(x, 10, 31) && within(y, 20, 41); });

  const TissueMask tissue = find_tissue(overview, plain_rules());

  ASSERT_EQ(tissue.contours.size(), 1U);
  const Outline& outer = tissue.contours[0].outer;
  EXPECT_EQ(outer.size(), 80U);  // every pixel of the edge of 21 x 21
  EXPECT_EQ(outer.front(), (OutlinePoint{640, 1280}));
  EXPECT_EQ(std::count(tissue.mask.pixels.begin(), tissue.mask.pixels.end(), 255), 21 * 21);
}

TEST(FindTissue, DropsWhatIsNotAboveTheLeastArea) {
  // The polygon through the pixel centres of 9 x 9 pixels has an area of 8 * 8 = 64, which is one area of 512 x 512.
  const Overview overview = painted(60, 50, [](auto x, auto y) { return within(x, 10, 19) && within(y, 20, 29); });
  TissueRules rules = plain_rules();

  rules.min_tissue_patches = 1.0;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 0U);
  rules.min_tissue_patches = 0.99;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 1U);
}

TEST(FindTissue, KeepsTheLargestHolesThatAreLargeEnough) {
  // Holes of 12, 10, 6 and 3 pixels a side in a piece of 80 x 30. A hole's contour runs on the tissue around it.
  const auto hole = [](std::int64_t x, std::int64_t y) {
    for (const auto& [begin, side] : {std::pair{4, 12}, {20, 10}, {40, 6}, {60, 3}}) {
      if (within(x, begin, begin + side) && within(y, 5, 5 + side)) return true;
    }
    return false;
  };
  const Overview overview = painted(80, 30, [&](auto x, auto y) { return !hole(x, y); });
  TissueRules rules = plain_rules();
  const auto holes = [&] { return find_tissue(overview, rules).contours.at(0).holes.size(); };

  rules.max_holes = 8;
  EXPECT_EQ(holes(), 4U);
  rules.max_holes = 3;
  EXPECT_EQ(holes(), 3U);
  rules.min_hole_patches = 1.0;  // of 64 pixels: the contour of 6 x 6 has less than 7 * 7 = 49
  EXPECT_EQ(holes(), 2U);
  rules.max_holes = 0;
  EXPECT_EQ(holes(), 0U);
}

TEST(FindTissue, CutsHolesOutOfTheMask) {
  const Overview overview = painted(60, 50, [](auto x, auto y) {
    return within(x, 5, 45) && within(y, 5, 45) && !(within(x, 15, 30) && within(y, 15, 30));
  });

  const TissueMask tissue = find_tissue(overview, plain_rules());

  EXPECT_EQ(*tissue.mask.at(20, 20), 0);
  EXPECT_EQ(*tissue.mask.at(14, 20), 255);
  EXPECT_EQ(*tissue.mask.at(15, 20), 0);
  EXPECT_EQ(std::count(tissue.mask.pixels.begin(), tissue.mask.pixels.end(), 255), 40 * 40 - 15 * 15);
}

TEST(FindTissue, ThresholdIsStrictAndOtsuFindsItsOwn) {
  // Pink of 255, 245, 255 has a saturation of 255 * 10 / 255 = 10.
  Overview overview = painted(40, 40, [](auto x, auto y) { return within(x, 10, 30) && within(y, 10, 30); });
  for (std::uint8_t& value : overview.picture.pixels) value = value == 120 ? 245 : value;
  TissueRules rules = plain_rules();

  rules.saturation_above = 10;
  EXPECT_TRUE(find_tissue(overview, rules).contours.empty());
  rules.saturation_above = 9;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 1U);
  rules.saturation_above = 200;
  rules.otsu = true;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 1U);
}

TEST(FindTissue, GlassAloneGivesNothing) {
  const Overview overview = painted(40, 30, [](auto, auto) { return false; });

  const TissueMask tissue = find_tissue(overview, tissue_preset("small"));

  EXPECT_TRUE(tissue.contours.empty());
  EXPECT_EQ(std::count(tissue.mask.pixels.begin(), tissue.mask.pixels.end(), 0), 40 * 30);
}

TEST(FindTissue, ClosesGapsAndDropsSpecks) {
  const Overview overview = painted(60, 60, [](auto x, auto y) {
    const bool block = within(x, 10, 50) && within(y, 10, 50) && x != 30;
    return block || (x == 5 && y == 5);
  });
  TissueRules rules = plain_rules();

  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 2U);  // the gap is one pixel wide; a lone pixel has no area
  rules.close_px = 4;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 1U);
  rules.close_px = 0;
  rules.median_px = 3;
  EXPECT_EQ(find_tissue(overview, rules).contours.size(), 1U);
}

TEST(TissueRules, KnowsThePresetsAndReadsClamsTable) {
  const testing::TemporaryFolder folder;
  testing::put_bytes(
      folder / "preset.csv",
      "seg_level,sthresh,mthresh,close,use_otsu,a_t,a_h,max_n_holes,vis_level,line_thickness,white_thresh,"
      "black_thresh,use_padding,contour_fn,keep_ids,exclude_ids\n"
      "-1,15,11,2,FALSE,1,1,2,-1,50,5,50,TRUE,four_pt,none,none\n");

  EXPECT_EQ(read_tissue_rules(folder / "preset.csv"), tissue_preset("bwh_biopsy"));
  EXPECT_EQ(tissue_preset("clam").min_tissue_patches, 100);
  EXPECT_EQ(tissue_preset("tcga").min_hole_patches, 4);
  EXPECT_THROW(tissue_preset("CLAM"), ContractError);
}

TEST(TissueRules, RefusesATableThatCannotBe) {
  const testing::TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    testing::put_bytes(folder / "preset.csv", text);
    return message_of<DataError>([&] { read_tissue_rules(folder / "preset.csv"); });
  };

  EXPECT_THAT(message("sthresh,mthresh\n8,4\n"), ::testing::ContainsRegex("preset.csv: line 2: .*must be odd"));
  EXPECT_THAT(message("sthresh\neight\n"), ::testing::ContainsRegex("line 2, column 'sthresh': 'eight' is no number"));
  EXPECT_THAT(message("use_otsu\nmaybe\n"), ::testing::HasSubstr("neither TRUE nor FALSE"));
  EXPECT_THAT(message("contour_fn\nall\n"), ::testing::HasSubstr("expected four_pt"));
  EXPECT_THAT(message("sthresh\n"), ::testing::HasSubstr("no row"));
}

// A square of level-0 pixels [x0, x1] x [y0, y1] as tissue, at one mask pixel per 10 level-0 pixels.
TissueMask square_tissue(std::int32_t begin, std::int32_t end) {
  TissueMask tissue;
  tissue.mask = GrayImage(100, 100);
  tissue.scale_x = tissue.scale_y = 10.0;
  tissue.contours.push_back({.outer = {{begin, begin}, {begin, end}, {end, end}, {end, begin}}});
  for (std::int64_t y = begin / 10; y < end / 10; ++y) {
    for (std::int64_t x = begin / 10; x < end / 10; ++x) *tissue.mask.at(x, y) = 255;
  }
  return tissue;
}

const SlideLevel kThousand{.width = 1000, .height = 1000};

TEST(PatchGrid, OfTheSlideRunsRowByRowFromItsCorner) {
  const std::vector<PatchPlace> places =
      make_grid(square_tissue(200, 400), kThousand, {.patch_l0px = 100, .step_l0px = 100});

  EXPECT_EQ(places, (std::vector<PatchPlace>{{200, 200}, {300, 200}, {200, 300}, {300, 300}}));
}

TEST(PatchGrid, OfTheSlideKeepsByShareOfTissue) {
  // [150, 250) of [150, 450) lies on half the patch at 100, wholly on those at 200 and 300, on half of that at 400.
  const TissueMask tissue = square_tissue(150, 450);
  const auto count = [&](double min_tissue) {
    return make_grid(tissue, kThousand, {.patch_l0px = 100, .step_l0px = 100, .min_tissue = min_tissue}).size();
  };

  EXPECT_EQ(count(0.0), 16U);
  EXPECT_EQ(count(0.25), 16U);  // the corners have a quarter
  EXPECT_EQ(count(0.26), 12U);
  EXPECT_EQ(count(0.51), 4U);
  EXPECT_EQ(count(1.0), 4U);
}

TEST(PatchGrid, OverlapsWhenTheStepIsShort) {
  const auto places = make_grid(square_tissue(200, 300), kThousand, {.patch_l0px = 100, .step_l0px = 50});

  EXPECT_EQ(places.size(), 9U);
  EXPECT_EQ(places.front(), (PatchPlace{150, 150}));
}

TEST(PatchGrid, StaysInsideWhenAskedTo) {
  const TissueMask tissue = square_tissue(0, 1000);
  const auto size = [&](GridAnchor anchor, Edges edges) {
    return make_grid(tissue, kThousand, {.patch_l0px = 300, .step_l0px = 300, .anchor = anchor, .edges = edges}).size();
  };

  EXPECT_EQ(size(GridAnchor::slide, Edges::pad), 16U);
  EXPECT_EQ(size(GridAnchor::slide, Edges::inside), 9U);
  EXPECT_EQ(size(GridAnchor::contour, Edges::pad), 16U);
  EXPECT_EQ(size(GridAnchor::contour, Edges::inside), 9U);
}

TEST(PatchGrid, OfAContourBeginsAtItsBoxAndRunsDownColumns) {
  const auto places = make_grid(square_tissue(230, 430), kThousand,
                                {.patch_l0px = 100, .step_l0px = 100, .anchor = GridAnchor::contour});

  // The box of points 230 to 430 is 201 wide. At x 430 the points a quarter from the centre, 455 and 505, are outside.
  EXPECT_EQ(places, (std::vector<PatchPlace>{{230, 230}, {230, 330}, {330, 230}, {330, 330}}));
}

TEST(PatchGrid, OfAContourAsksThePointsOfItsTest) {
  // A triangle: the upper left half of a square of 100.
  TissueMask tissue = square_tissue(0, 100);
  tissue.contours[0].outer = {{0, 0}, {0, 100}, {100, 0}};
  const auto places = [&](ContourTest test) {
    return make_grid(tissue, kThousand,
                     {.patch_l0px = 40, .step_l0px = 40, .anchor = GridAnchor::contour, .contour_test = test});
  };

  // Inside is x + y <= 100. Patches begin at 0, 40 and 80; the four points lie 10 and 30 from the corner.
  EXPECT_EQ(places(ContourTest::four_pt),  // x + y + 20 <= 100
            (std::vector<PatchPlace>{{0, 0}, {0, 40}, {0, 80}, {40, 0}, {40, 40}, {80, 0}}));
  EXPECT_EQ(places(ContourTest::four_pt_hard), (std::vector<PatchPlace>{{0, 0}, {0, 40}, {40, 0}}));  // + 60
  EXPECT_EQ(places(ContourTest::center), (std::vector<PatchPlace>{{0, 0}, {0, 40}, {40, 0}}));        // + 40
  EXPECT_EQ(places(ContourTest::basic),
            (std::vector<PatchPlace>{{0, 0}, {0, 40}, {0, 80}, {40, 0}, {40, 40}, {80, 0}}));
}

TEST(PatchGrid, OfAContourLeavesOutPatchesWithTheirCentreInAHole) {
  TissueMask tissue = square_tissue(0, 300);
  tissue.contours[0].holes = {{{120, 120}, {120, 180}, {180, 180}, {180, 120}}};

  const auto places =
      make_grid(tissue, kThousand, {.patch_l0px = 100, .step_l0px = 100, .anchor = GridAnchor::contour});

  EXPECT_EQ(places.size(), 8U);
  EXPECT_EQ(std::count(places.begin(), places.end(), PatchPlace{100, 100}), 0);
}

TEST(PatchGrid, RefusesSizesThatMakeNoGrid) {
  EXPECT_THROW(make_grid(square_tissue(0, 100), kThousand, {.patch_l0px = 0}), ContractError);
  EXPECT_THROW(make_grid(square_tissue(0, 100), kThousand, {.step_l0px = 0}), ContractError);
  EXPECT_THROW(make_grid(square_tissue(0, 100), {.width = 1 << 20, .height = 1 << 20}, {.step_l0px = 1}), MemoryError);
}

}  // namespace
}  // namespace strandline
