#include "io/images/png_file.hpp"

#include <png.h>

#include <limits>
#include <vector>

#include "core/base/error.hpp"
#include "io/bytes/input_file.hpp"
#include "io/bytes/output_file.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 29;

// libpng's simplified interface, because it gives errors back and does not jump over destructors.
struct PngImage {
  png_image image{};

  PngImage() { image.version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(&image); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

template <int kChannels>
void write(const std::string& path, const Image<kChannels>& image, png_uint_32 format) {
  constexpr std::int64_t kMaxSide = std::numeric_limits<std::int32_t>::max();
  if (image.width <= 0 || image.height <= 0 || image.width > kMaxSide || image.height > kMaxSide) {
    throw ContractError("write_png: " + path + ": " + std::to_string(image.width) + " x " +
                        std::to_string(image.height) + " pixels");
  }
  PngImage png;
  png.image.width = static_cast<png_uint_32>(image.width);
  png.image.height = static_cast<png_uint_32>(image.height);
  png.image.format = format;
  OutputFile file(path);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.image);
  std::vector<char> bytes(size);
  if (png_image_write_to_memory(&png.image, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) == 0) {
    throw ContractError("write_png: " + path + ": " + png.image.message);
  }
  file.write(bytes.data(), size);
  file.commit();
}

}  // namespace

void write_png(const std::string& path, const RgbImage& image) { write(path, image, PNG_FORMAT_RGB); }
void write_png(const std::string& path, const GrayImage& image) { write(path, image, PNG_FORMAT_GRAY); }

RgbImage read_png(const std::string& path) {
  const InputFile file(path);
  std::vector<char> bytes(static_cast<std::size_t>(file.size_bytes()));
  file.read_at(0, bytes.data(), bytes.size());
  PngImage png;
  if (png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()) == 0) {
    throw DataError({.file = path}, std::string("not a PNG that can be read (") + png.image.message + ")");
  }
  const std::int64_t width = png.image.width;
  const std::int64_t height = png.image.height;
  if (width * height > kMaxPixels) throw MemoryError(path + ": more than 2^29 pixels");
  png.image.format = PNG_FORMAT_RGB;
  RgbImage out(width, height);
  const png_color white{255, 255, 255};
  if (png_image_finish_read(&png.image, &white, out.pixels.data(), 0, nullptr) == 0) {
    throw DataError({.file = path}, std::string("damaged PNG (") + png.image.message + ")", "Make or copy it again");
  }
  return out;
}

}  // namespace strandline
