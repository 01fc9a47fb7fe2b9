// Slides: which reader takes what, spacing, background, errors.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/error.hpp"
#include "io/images/tiff_pyramid_writer.hpp"
#include "io/slide/slide.hpp"
#include "io/slide/slide_spacing.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/slide_files.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::message_of;
using testing::pixel;
using testing::StrippedTiff;
using testing::TemporaryFolder;
using testing::test_colour;
using testing::write_stripped_tiff;

SlideInfo with(std::map<std::string, std::string> properties) {
  SlideInfo info;
  info.path = "a.svs";
  info.properties = std::move(properties);
  return info;
}

SlideInfo resolved(std::map<std::string, std::string> properties, const SlideOptions& options = {}) {
  SlideInfo info = with(std::move(properties));
  resolve_spacing(info, options);
  return info;
}

TEST(SlideSpacing, PrefersPropertiesThenTagsThenWhatIsAssumed) {
  const std::map<std::string, std::string> tags{
      {"tiff.ResolutionUnit", "centimeter"}, {"tiff.XResolution", "20000"}, {"tiff.YResolution", "20000"}};
  std::map<std::string, std::string> both = tags;
  both["openslide.mpp-x"] = both["openslide.mpp-y"] = "0.25";

  EXPECT_EQ(resolved(both).spacing_um, 0.25);
  EXPECT_EQ(resolved(tags).spacing_um, 0.5);
  EXPECT_EQ(resolved(tags, {.assume_spacing_um = 0.3}).spacing_um, 0.5);
  EXPECT_EQ(resolved({}, {.assume_spacing_um = 0.3}).spacing_um, 0.3);
  EXPECT_EQ(resolved({}, {.assume_spacing_um = 0.3}).spacing_source, "assumed");
  EXPECT_EQ(resolved({{"tiff.ResolutionUnit", "inch"}, {"tiff.XResolution", "50800"}, {"tiff.YResolution", "50800"}})
                .spacing_um,
            0.5);
}

TEST(SlideSpacing, DoesNotBelieveWhatNoMicroscopeHas) {
  const SlideInfo screen =
      resolved({{"tiff.ResolutionUnit", "inch"}, {"tiff.XResolution", "72"}, {"tiff.YResolution", "72"}});
  const SlideInfo flat = resolved({{"openslide.mpp-x", "0.25"}, {"openslide.mpp-y", "0.5"}});
  const SlideInfo words = resolved({{"openslide.mpp-x", "0.25um"}, {"openslide.mpp-y", "0.25"}});

  EXPECT_FALSE(screen.spacing_um);
  EXPECT_FALSE(flat.spacing_um);
  EXPECT_FALSE(words.spacing_um);
  EXPECT_THAT(message_of<DataError>([&] { require_spacing(screen); }),
              ::testing::ContainsRegex("a.svs: .*352.77.*no microscope has.*--assume-mpp"));
  EXPECT_THAT(message_of<DataError>([&] { require_spacing(flat); }), ::testing::HasSubstr("not square"));
}

TEST(Slide, ReadsStrippedTiffThroughLibtiff) {
  const TemporaryFolder folder;
  write_stripped_tiff(folder / "a.tif", {.width = 333, .height = 200, .rows_per_strip = 7, .pixels_per_cm = 20000});

  const auto slide = open_slide(folder / "a.tif");
  RgbImage read;
  slide->read({.x_l0px = 50, .y_l0px = 45, .width = 100, .height = 90}, read);

  EXPECT_EQ(slide->info().format, "plain-tiff");
  EXPECT_EQ(require_spacing(slide->info()), 0.5);
  for (std::int64_t y = 0; y < 90; ++y) {
    for (std::int64_t x = 0; x < 100; ++x) ASSERT_EQ(pixel(read, x, y), test_colour(50 + x, 45 + y)) << x << " " << y;
  }
}

TEST(Slide, GivesBackgroundBeyondItsEdges) {
  const TemporaryFolder folder;
  write_stripped_tiff(folder / "strips.tif", {.width = 60, .height = 40, .rows_per_strip = 16});
  write_tiff_pyramid(folder / "tiles.tif", {60, 40},
                     {.tile = 16, .compression = TiffPyramidOptions::Compression::deflate},
                     [](const ImageBox&, RgbImage& out) { out.reset(out.width, out.height, 9); });

  for (const char* name : {"strips.tif", "tiles.tif"}) {
    const auto slide = open_slide(folder / name, {.background = Rgb{10, 20, 30}});
    RgbImage read;
    slide->read({.x_l0px = -5, .y_l0px = -6, .width = 100, .height = 80}, read);

    EXPECT_EQ(pixel(read, 4, 10), (Rgb{10, 20, 30})) << name;
    EXPECT_EQ(pixel(read, 10, 5), (Rgb{10, 20, 30})) << name;
    EXPECT_NE(pixel(read, 5, 6), (Rgb{10, 20, 30})) << name;
    EXPECT_NE(pixel(read, 64, 45), (Rgb{10, 20, 30})) << name;
    EXPECT_EQ(pixel(read, 65, 45), (Rgb{10, 20, 30})) << name;
    EXPECT_EQ(pixel(read, 64, 46), (Rgb{10, 20, 30})) << name;
  }
}

TEST(Slide, LaysWhatIsTransparentOverTheBackground) {
  const TemporaryFolder folder;
  write_stripped_tiff(folder / "a.tif", {.width = 40, .height = 8, .rows_per_strip = 8, .transparent = true});

  RgbImage white;
  open_slide(folder / "a.tif")->read({.width = 40, .height = 8}, white);
  RgbImage red;
  open_slide(folder / "a.tif", {.background = Rgb{255, 0, 0}})->read({.width = 40, .height = 8}, red);

  EXPECT_EQ(pixel(white, 3, 3), kWhite);
  EXPECT_EQ(pixel(red, 3, 3), (Rgb{255, 0, 0}));
  EXPECT_EQ(pixel(white, 30, 3), test_colour(30, 3));
  EXPECT_EQ(pixel(red, 30, 3), test_colour(30, 3));
}

TEST(Slide, RefusesRowsThatDoNotRunFromTheTopLeft) {
  const TemporaryFolder folder;
  write_stripped_tiff(folder / "a.tif",
                      {.width = 40, .height = 8, .rows_per_strip = 8, .orientation = ORIENTATION_BOTRIGHT});

  EXPECT_THAT(message_of<DataError>([&] { open_slide(folder / "a.tif"); }), ::testing::HasSubstr("top left"));
}

TEST(Slide, RefusesWhatIsNoSlideByName) {
  const TemporaryFolder folder;
  testing::put_bytes(folder / "page.svs", "<html>no slide</html>");
  testing::put_bytes(folder / "empty.svs", "");
  testing::put_bytes(folder / "head.tif", std::string("II*\0\x08\0\0\0", 8));
  testing::put_bytes(folder / "a.dcm", std::string(128, '\0') + "DICM" + std::string(100, '\0'));

  EXPECT_THAT(message_of<DataError>([&] { open_slide(folder / "page.svs"); }), ::testing::HasSubstr("not a slide"));
  EXPECT_THAT(message_of<DataError>([&] { open_slide(folder / "empty.svs"); }), ::testing::HasSubstr("not a slide"));
  EXPECT_THAT(message_of<DataError>([&] { open_slide(folder / "head.tif"); }), ::testing::HasSubstr("not a TIFF"));
  EXPECT_THAT(message_of<DataError>([&] { open_slide(folder / "a.dcm"); }), ::testing::HasSubstr("DICOM"));
  EXPECT_THROW(open_slide(folder / "missing.svs"), IoError);
  EXPECT_THROW(open_slide(folder.path().string()), IoError);
  EXPECT_THROW(open_slide("https://example.org/a.svs"), IoError);
}

TEST(Slide, ReadsWhatIsSmallerThanATile) {
  const TemporaryFolder folder;
  const auto paint = [](const ImageBox& box, RgbImage& out) {
    for (std::int64_t i = 0; i < box.width * box.height; ++i) {
      const Rgb colour = test_colour(i % box.width, i / box.width);
      std::copy(colour.begin(), colour.end(), out.at(i % box.width, i / box.width));
    }
  };
  write_tiff_pyramid(folder / "a.tiff", {40, 30}, {.tile = 64, .compression = TiffPyramidOptions::Compression::deflate},
                     paint);
  RgbImage read;

  open_slide(folder / "a.tiff")->read({.width = 40, .height = 30}, read);

  for (std::int64_t y = 0; y < 30; ++y) {
    for (std::int64_t x = 0; x < 40; ++x) ASSERT_EQ(pixel(read, x, y), test_colour(x, y)) << x << " " << y;
  }
}

TEST(RealSlide, LeavesOutLevelsSmallerThanATile) {
  const std::string path = std::string(STRANDLINE_SHARED_DATA) + "/wsi/osp_boxes.tiff";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared test data: " << path;

  const SlideInfo info = open_slide(path)->info();  // 300 x 250, 150 x 125, 75 x 62, 37 x 31 in tiles of 64

  ASSERT_EQ(info.levels.size(), 2U);
  EXPECT_EQ(info.levels[1].height, 125);
}

TEST(Slide, RefusesALevelThatItDoesNotHave) {
  const TemporaryFolder folder;
  write_stripped_tiff(folder / "a.tif", {.width = 40, .height = 8, .rows_per_strip = 8});
  const auto slide = open_slide(folder / "a.tif");
  RgbImage read;

  EXPECT_THROW(slide->read({.level = 1, .width = 1, .height = 1}, read), ContractError);
  EXPECT_THROW(slide->read({.width = -1, .height = 1}, read), ContractError);
}

// A tiled TIFF of four tiles, the last of which has been overwritten with rubbish.
std::string slide_with_a_bad_tile(const TemporaryFolder& folder) {
  write_tiff_pyramid(folder / "a.tiff", {128, 128},
                     {.spacing_um = 0.5, .tile = 64, .compression = TiffPyramidOptions::Compression::deflate},
                     [](const ImageBox& box, RgbImage& out) {
                       for (std::int64_t y = 0; y < box.height; ++y) {
                         for (std::int64_t x = 0; x < box.width; ++x) {
                           const Rgb colour = test_colour(box.x + x, box.y + y);
                           std::copy(colour.begin(), colour.end(), out.at(x, y));
                         }
                       }
                     });
  TIFF* tiff = TIFFOpen((folder / "a.tiff").c_str(), "r");
  const std::uint64_t offset = TIFFGetStrileOffset(tiff, 3);
  const std::uint64_t size = TIFFGetStrileByteCount(tiff, 3);
  TIFFClose(tiff);
  std::string bytes = testing::bytes_of(folder / "a.tiff");
  for (std::uint64_t i = 0; i < size; ++i) bytes[offset + i] = '\xff';
  testing::put_bytes(folder / "a.tiff", bytes);
  return folder / "a.tiff";
}

TEST(Slide, ReportsABadTileAndStillReadsTheOthers) {
  const TemporaryFolder folder;
  const auto slide = open_slide(slide_with_a_bad_tile(folder));
  RgbImage read;

  const std::string message =
      message_of<DataError>([&] { slide->read({.x_l0px = 64, .y_l0px = 64, .width = 64, .height = 64}, read); });
  slide->read({.width = 64, .height = 64}, read);

  EXPECT_THAT(message, ::testing::ContainsRegex("a.tiff: .*x 64, y 64 of level 0 cannot be read"));
  EXPECT_EQ(pixel(read, 63, 63), test_colour(63, 63));
}

struct RealSlide {
  const char* name;
  const char* outcome;  // part of the error's message, or the format
  std::int64_t width = 0;
  bool has_spacing = false;

  friend std::ostream& operator<<(std::ostream& out, const RealSlide& each) { return out << each.name; }
};

// What OpenSlide 3.4.1 and libtiff 4.5 make of the odd files of other projects.
const RealSlide kRealSlides[] = {
    {"CMU-1-Small-Region.svs", "aperio", 2220, true},
    {"broken-html.svs", "not a slide"},
    {"broken.svs", "not a slide"},
    {"highdicom_sm_image.dcm", "DICOM"},
    {"highdicom_sm_image_grayscale.dcm", "DICOM"},
    {"highdicom_sm_image_jpegls.dcm", "DICOM"},
    {"li_grey10kx5k.tif", "plain-tiff", 10000},
    {"li_small_la.tiff", "plain-tiff", 2},
    {"li_test_orient3.tif", "generic-tiff", 120},
    {"li_yb10kx5k.zstd.tiff", "generic-tiff", 10000},
    {"li_zero_gi.tif", "not a TIFF"},
    {"osp_boxes.tiff", "generic-tiff", 300},
    {"osp_boxes_0.dcm", "DICOM"},
    {"osp_boxes_1.dcm", "DICOM"},
    {"osp_small.svs", "aperio", 16, true},
    {"osp_unopenable.tiff", "Unsupported TIFF compression"},
    {"osp_unreadable.svs", "aperio", 16, true},
    {"pathml_small_HE_levels.tiff", "generic-tiff", 300},
    {"pathml_smalltif.tif", "plain-tiff", 640},
};

class RealSlides : public ::testing::TestWithParam<RealSlide> {};

TEST_P(RealSlides, OpensOrIsRefusedByName) {
  const RealSlide& expected = GetParam();
  const std::string path = std::string(STRANDLINE_SHARED_DATA) + "/wsi/" + expected.name;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared test data: " << path;

  if (expected.width == 0) {
    EXPECT_THAT(message_of<DataError>([&] { open_slide(path); }), ::testing::HasSubstr(expected.outcome));
    return;
  }
  const SlideInfo info = open_slide(path)->info();
  EXPECT_EQ(info.format, expected.outcome);
  EXPECT_EQ(info.levels.front().width, expected.width);
  EXPECT_EQ(info.spacing_um.has_value(), expected.has_spacing);
}

INSTANTIATE_TEST_SUITE_P(OfOtherProjects, RealSlides, ::testing::ValuesIn(kRealSlides), [](const auto& tested) {
  std::string name = tested.param.name;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) != 0 ? letter : '_';
  return name;
});

TEST(RealSlide, OneThatOpensAndCannotBeReadSaysSo) {
  const std::string path = std::string(STRANDLINE_SHARED_DATA) + "/wsi/osp_unreadable.svs";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared test data: " << path;
  const auto slide = open_slide(path);
  RgbImage read;

  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_THAT(message_of<DataError>([&] { slide->read({.width = 16, .height = 16}, read); }),
                ::testing::HasSubstr("cannot be read"));
  }
}

}  // namespace
}  // namespace strandline
