// Pictures: resizing, PNG, pyramidal TIFF.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "io/images/png_file.hpp"
#include "io/images/resize.hpp"
#include "io/images/tiff_pyramid_writer.hpp"
#include "io/slide/slide.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/in_child.hpp"
#include "tests/io/slide_files.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::in_child_with_file_limit;
using testing::message_of;
using testing::pixel;
using testing::TemporaryFolder;
using testing::test_colour;

RgbImage patterned(std::int64_t width, std::int64_t height) {
  RgbImage image(width, height);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const Rgb colour = test_colour(x, y);
      std::copy(colour.begin(), colour.end(), image.at(x, y));
    }
  }
  return image;
}

RgbImage row_of(const std::vector<std::uint8_t>& grey) {
  RgbImage image(static_cast<std::int64_t>(grey.size()), 1);
  for (std::size_t x = 0; x < grey.size(); ++x) std::fill_n(image.at(static_cast<std::int64_t>(x), 0), 3, grey[x]);
  return image;
}

TEST(Resize, TakesTheMeanOfTheAreaCovered) {
  // Two of four: (0 + 10) / 2 and (20 + 40) / 2. Two of three: (0 + 30 / 2) / 1.5 = 10, (30 / 2 + 60) / 1.5 = 50.
  const RgbImage half = resized(row_of({0, 10, 20, 40}), {2, 1});
  const RgbImage two_thirds = resized(row_of({0, 30, 60}), {2, 1});

  EXPECT_EQ(pixel(half, 0, 0), (Rgb{5, 5, 5}));
  EXPECT_EQ(pixel(half, 1, 0), (Rgb{30, 30, 30}));
  EXPECT_EQ(pixel(two_thirds, 0, 0), (Rgb{10, 10, 10}));
  EXPECT_EQ(pixel(two_thirds, 1, 0), (Rgb{50, 50, 50}));
}

TEST(Resize, InterpolatesBetweenPixelCentresWhenItEnlarges) {
  // Centres of four pixels over two lie at -0.25, 0.25, 0.75 and 1.25; beyond the ends the end holds.
  const RgbImage doubled = resized(row_of({0, 100}), {4, 1});

  EXPECT_EQ(pixel(doubled, 0, 0)[0], 0);
  EXPECT_EQ(pixel(doubled, 1, 0)[0], 25);
  EXPECT_EQ(pixel(doubled, 2, 0)[0], 75);
  EXPECT_EQ(pixel(doubled, 3, 0)[0], 100);
}

TEST(Resize, KeepsAnEvenColourAtAnySize) {
  const RgbImage even(37, 11, 201);

  for (const ImageSize size : {ImageSize{1, 1}, ImageSize{36, 10}, ImageSize{50, 29}, ImageSize{37, 11}}) {
    const RgbImage result = resized(even, size);
    EXPECT_EQ(result.width, size.width);
    EXPECT_TRUE(std::all_of(result.pixels.begin(), result.pixels.end(), [](std::uint8_t v) { return v == 201; }));
  }
  EXPECT_THROW(resized(even, {0, 5}), ContractError);
}

TEST(Crop, CopiesABoxAndRefusesOneThatIsNotInside) {
  const RgbImage image = patterned(20, 10);
  RgbImage part;

  crop(image, {3, 4, 5, 6}, part);

  EXPECT_EQ(part.width, 5);
  EXPECT_EQ(pixel(part, 4, 5), test_colour(7, 9));
  EXPECT_THROW(crop(image, {16, 0, 5, 1}, part), ContractError);
}

TEST(Png, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  const RgbImage image = patterned(31, 17);

  write_png(folder / "a.png", image);

  EXPECT_EQ(read_png(folder / "a.png").pixels, image.pixels);
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(Png, RefusesWhatIsNoneOrDamaged) {
  const TemporaryFolder folder;
  write_png(folder / "a.png", patterned(64, 64));
  const std::string whole = testing::bytes_of(folder / "a.png");
  testing::put_bytes(folder / "half.png", whole.substr(0, whole.size() / 2));
  testing::put_bytes(folder / "text.png", "not a picture");

  EXPECT_THROW(read_png(folder / "half.png"), DataError);
  EXPECT_THROW(read_png(folder / "text.png"), DataError);
  EXPECT_THROW(read_png(folder / "missing.png"), IoError);
  EXPECT_THROW(write_png(folder / "empty.png", RgbImage()), ContractError);
}

TiffPyramidOptions lossless(double spacing_um) {
  return {.spacing_um = spacing_um, .tile = 64, .compression = TiffPyramidOptions::Compression::deflate};
}

void paint_test_colours(const ImageBox& box, RgbImage& out) {
  for (std::int64_t y = 0; y < box.height; ++y) {
    for (std::int64_t x = 0; x < box.width; ++x) {
      const Rgb colour = test_colour(box.x + x, box.y + y);
      std::copy(colour.begin(), colour.end(), out.at(x, y));
    }
  }
}

TEST(TiffPyramid, IsReadBackByOpenSlideWithItsLevelsAndSpacing) {
  const TemporaryFolder folder;

  write_tiff_pyramid(folder / "a.tiff", {300, 250}, lossless(0.25), paint_test_colours);
  const auto slide = open_slide(folder / "a.tiff");
  RgbImage read;
  slide->read({.x_l0px = 100, .y_l0px = 60, .width = 200, .height = 190}, read);

  EXPECT_EQ(slide->info().format, "generic-tiff");
  ASSERT_EQ(slide->info().levels.size(), 2U);  // the next, 75 x 62, would be smaller than a tile
  EXPECT_EQ(slide->info().levels[1].width, 150);
  EXPECT_EQ(slide->info().levels[1].height, 125);
  EXPECT_NEAR(require_spacing(slide->info()), 0.25, 0.25 * 0x1p-23);  // the tag is a rational made from a float
  for (std::int64_t y = 0; y < 190; ++y) {
    for (std::int64_t x = 0; x < 200; ++x) ASSERT_EQ(pixel(read, x, y), test_colour(100 + x, 60 + y)) << x << " " << y;
  }
}

TEST(TiffPyramid, LowerLevelsAreMeansOfFourPixels) {
  const TemporaryFolder folder;
  const auto grey = [](std::int64_t x, std::int64_t y) { return static_cast<std::uint8_t>((x * 3 + y * 2) % 200); };

  write_tiff_pyramid(folder / "a.tiff", {400, 200}, lossless(0.5), [&](const ImageBox& box, RgbImage& out) {
    for (std::int64_t y = 0; y < box.height; ++y) {
      for (std::int64_t x = 0; x < box.width; ++x) std::fill_n(out.at(x, y), 3, grey(box.x + x, box.y + y));
    }
  });
  RgbImage read;
  open_slide(folder / "a.tiff")->read({.level = 1, .width = 200, .height = 100}, read);

  for (std::int64_t y = 0; y < 100; ++y) {
    for (std::int64_t x = 0; x < 200; ++x) {
      const int sum = grey(2 * x, 2 * y) + grey(2 * x + 1, 2 * y) + grey(2 * x, 2 * y + 1) + grey(2 * x + 1, 2 * y + 1);
      ASSERT_EQ(pixel(read, x, y)[0], (sum + 2) / 4) << x << " " << y;
    }
  }
}

TEST(TiffPyramid, WritesTheSameBytesAgain) {
  const TemporaryFolder folder;
  const TiffPyramidOptions jpeg{.spacing_um = 0.5};

  for (const char* name : {"a", "b"}) write_tiff_pyramid(folder / name, {700, 300}, jpeg, paint_test_colours);

  EXPECT_EQ(testing::bytes_of(folder / "a"), testing::bytes_of(folder / "b"));
}

TEST(TiffPyramid, AFullDiskIsAnErrorAndLeavesNothing) {
  const TemporaryFolder folder;

  const auto result = in_child_with_file_limit(20000, [&] {
    write_tiff_pyramid(folder / "a.tiff", {600, 600}, lossless(0.5), paint_test_colours);
  });

  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.message, ::testing::ContainsRegex("a.tiff: cannot write: File too large"));
  EXPECT_EQ(folder.entries(), 0U);
}

}  // namespace
}  // namespace strandline
