#include "io/images/tiff_pyramid_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "io/images/tiff_file.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kBigTiffBytes = std::int64_t{1} << 30;

struct LevelTags {
  ImageSize size;
  double spacing_um;
  bool reduced;
};

class PyramidWriter {
 public:
  PyramidWriter(const std::string& path, const TiffPyramidOptions& options, tiff::TiffFile::Offsets offsets)
      : options_(options), output_(path), tiff_(output_, offsets) {}

  // Writes one level and returns the next, half as large.
  RgbImage write_level(const LevelTags& tags, const PaintBox& paint) {
    set_tags(tags);
    RgbImage half(std::max<std::int64_t>(1, tags.size.width / 2), std::max<std::int64_t>(1, tags.size.height / 2));
    const std::int64_t tile = options_.tile;
    RgbImage painted;
    RgbImage padded(tile, tile);
    for (std::int64_t y = 0; y < tags.size.height; y += tile) {
      for (std::int64_t x = 0; x < tags.size.width; x += tile) {
        const ImageBox box{x, y, std::min(tile, tags.size.width - x), std::min(tile, tags.size.height - y)};
        painted.reset(box.width, box.height);
        paint(box, painted);
        pad(painted, padded);
        halve(painted, box, half);
        write_tile(box, padded);
      }
    }
    require(TIFFWriteDirectory(tiff_.get()) == 1);
    return half;
  }

  void commit() {
    require(TIFFFlush(tiff_.get()) == 1);
    output_.commit();
  }

 private:
  void set_tags(const LevelTags& tags) {
    TIFF* tiff = tiff_.get();
    const bool jpeg = options_.compression == TiffPyramidOptions::Compression::jpeg;
    TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, tags.reduced ? FILETYPE_REDUCEDIMAGE : 0);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(tags.size.width));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(tags.size.height));
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, static_cast<std::uint32_t>(options_.tile));
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, static_cast<std::uint32_t>(options_.tile));
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, jpeg ? COMPRESSION_JPEG : COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, jpeg ? PHOTOMETRIC_YCBCR : PHOTOMETRIC_RGB);
    if (jpeg) {
      TIFFSetField(tiff, TIFFTAG_JPEGQUALITY, options_.jpeg_quality);
      TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    if (tags.spacing_um > 0.0) {
      const double pixels_per_cm = 1e4 / tags.spacing_um;
      TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
      TIFFSetField(tiff, TIFFTAG_XRESOLUTION, pixels_per_cm);
      TIFFSetField(tiff, TIFFTAG_YRESOLUTION, pixels_per_cm);
    }
    if (!tags.reduced && !options_.description.empty()) {
      TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, options_.description.c_str());
    }
  }

  // The rest of a tile repeats the last column and row: JPEG would smear a sharp edge into the picture.
  static void pad(const RgbImage& painted, RgbImage& padded) {
    for (std::int64_t y = 0; y < padded.height; ++y) {
      const std::int64_t from = std::min(y, painted.height - 1);
      std::copy_n(painted.at(0, from), painted.width * 3, padded.at(0, y));
      for (std::int64_t x = painted.width; x < padded.width; ++x) {
        std::copy_n(painted.at(painted.width - 1, from), 3, padded.at(x, y));
      }
    }
  }

  // Tiles begin at even places, so the four pixels of a mean lie in one tile; an odd last row or column is left out.
  static void halve(const RgbImage& painted, const ImageBox& box, RgbImage& half) {
    const std::int64_t end_x = std::min(painted.width, half.width * 2 - box.x);
    const std::int64_t end_y = std::min(painted.height, half.height * 2 - box.y);
    for (std::int64_t y = 0; y < end_y; y += 2) {
      for (std::int64_t x = 0; x < end_x; x += 2) {
        const std::int64_t right = std::min(x + 1, painted.width - 1);
        const std::int64_t below = std::min(y + 1, painted.height - 1);
        std::uint8_t* out = half.at((box.x + x) / 2, (box.y + y) / 2);
        for (int c = 0; c < 3; ++c) {
          const int sum =
              painted.at(x, y)[c] + painted.at(right, y)[c] + painted.at(x, below)[c] + painted.at(right, below)[c];
          out[c] = static_cast<std::uint8_t>((sum + 2) / 4);
        }
      }
    }
  }

  void write_tile(const ImageBox& box, RgbImage& padded) {
    const std::uint32_t tile =
        TIFFComputeTile(tiff_.get(), static_cast<std::uint32_t>(box.x), static_cast<std::uint32_t>(box.y), 0, 0);
    const auto size = static_cast<tmsize_t>(padded.pixels.size());
    require(TIFFWriteEncodedTile(tiff_.get(), tile, padded.pixels.data(), size) == size);
  }

  void require(bool done) {
    if (tiff_.error_number() != 0) throw IoError(output_.path(), "write", tiff_.error_number());
    if (!done) throw IoError(output_.path(), "write (libtiff: " + tiff_.take_message() + ")", EIO);
  }

  const TiffPyramidOptions& options_;
  OutputFile output_;
  tiff::TiffFile tiff_;
};

}  // namespace

void write_tiff_pyramid(const std::string& path, ImageSize size, const TiffPyramidOptions& options,
                        const PaintBox& paint) {
  if (size.width <= 0 || size.height <= 0 || options.tile <= 0 || options.tile % 16 != 0) {
    throw ContractError("write_tiff_pyramid: " + path + ": expected a positive size and tiles of a multiple of 16");
  }
  const bool big = size.width * size.height * 3 > kBigTiffBytes;
  PyramidWriter writer(path, options, big ? tiff::TiffFile::Offsets::wide : tiff::TiffFile::Offsets::narrow);
  LevelTags tags{size, options.spacing_um, false};
  RgbImage level = writer.write_level(tags, paint);
  // No level is smaller than a tile: OpenSlide 3.4.1 with a libtiff of 2025 or later gives rubbish for such a one.
  while (std::min(level.width, level.height) >= options.tile) {
    tags = {{level.width, level.height}, tags.spacing_um * 2.0, true};
    const RgbImage current = std::exchange(level, {});
    level = writer.write_level(tags, [&](const ImageBox& box, RgbImage& out) { crop(current, box, out); });
  }
  writer.commit();
}

}  // namespace strandline
