#include "io/features/feature_bag.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "io/features/bag_writer.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

// tests/parity/make_bags.py wrote the files, through h5py, torch and numpy.
namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

constexpr std::int64_t kPatches = 6;
constexpr std::int64_t kWidth = 4;

std::string bag_file(const std::string& name) { return std::string(STRANDLINE_BAGS) + "/" + name; }

std::vector<float> expected_features() {
  std::vector<float> features;
  for (std::int64_t patch = 0; patch < kPatches; ++patch) {
    for (std::int64_t i = 0; i < kWidth; ++i) features.push_back(static_cast<float>(patch) - static_cast<float>(i) / 4);
  }
  return features;
}

std::vector<PatchCoordinate> expected_coordinates(double scale = 1) {
  std::vector<PatchCoordinate> coordinates;
  for (const double x : {512, 768, 1024}) {
    for (const double y : {256, 512}) coordinates.push_back({x * scale, y * scale});
  }
  return coordinates;
}

struct Layout {
  std::string file;
  std::string layout;
  CoordinateUnit unit;
  double patch_size;
  std::string encoder;

  friend std::ostream& operator<<(std::ostream& out, const Layout& each) { return out << each.file; }
};

class EveryLayout : public ::testing::TestWithParam<Layout> {};

TEST_P(EveryLayout, GivesTheSameBag) {
  const Layout& expected = GetParam();

  const FeatureBag bag = read_bag(bag_file(expected.file));

  EXPECT_EQ(bag.features, expected_features());
  EXPECT_EQ(bag.info.patches, kPatches);
  EXPECT_EQ(bag.info.width, kWidth);
  EXPECT_EQ(bag.info.layout, expected.layout);
  EXPECT_EQ(bag.info.unit, expected.unit);
  EXPECT_EQ(bag.info.patch_size, expected.patch_size);
  EXPECT_EQ(bag.info.encoder, expected.encoder);
  const double scale = expected.unit == CoordinateUnit::micrometres ? 0.5 : 1;
  const auto coordinates =
      expected.unit == CoordinateUnit::none ? std::vector<PatchCoordinate>{} : expected_coordinates(scale);
  EXPECT_EQ(bag.coordinates, coordinates);
}

constexpr CoordinateUnit kPixels = CoordinateUnit::level0_pixels;
constexpr CoordinateUnit kNone = CoordinateUnit::none;

INSTANTIATE_TEST_SUITE_P(FeatureBag, EveryLayout,
                         ::testing::Values(Layout{"clam.h5", "CLAM HDF5", kPixels, 0, ""},
                                           Layout{"clam_v108.h5", "CLAM HDF5", kPixels, 0, ""},
                                           Layout{"trident.h5", "TRIDENT HDF5", kPixels, 512, "uni_v1"},
                                           Layout{"trident_v108.h5", "TRIDENT HDF5", kPixels, 512, "uni_v1"},
                                           Layout{"trident_half.h5", "TRIDENT HDF5", kPixels, 512, "uni_v1"},
                                           Layout{"stamp.h5", "STAMP HDF5", CoordinateUnit::micrometres, 256, "uni"},
                                           Layout{"squeezed.h5", "CLAM HDF5", kPixels, 0, ""},
                                           Layout{"packed.h5", "CLAM HDF5", kPixels, 0, ""},
                                           Layout{"compact.h5", "TRIDENT HDF5", kPixels, 256, ""},
                                           Layout{"zip.pt", "PyTorch tensor (zip)", kNone, 0, ""},
                                           Layout{"legacy.pt", "PyTorch tensor (pickle)", kNone, 0, ""},
                                           Layout{"double_legacy.pt", "PyTorch tensor (pickle)", kNone, 0, ""},
                                           Layout{"half.pt", "PyTorch tensor (zip)", kNone, 0, ""},
                                           Layout{"bfloat16.pt", "PyTorch tensor (zip)", kNone, 0, ""},
                                           Layout{"view.pt", "PyTorch tensor (zip)", kNone, 0, ""},
                                           Layout{"protocol4.pt", "PyTorch tensor (zip)", kNone, 0, ""},
                                           Layout{"slideflow.pt", "slideflow PyTorch tensor (zip)", kPixels, 0, ""},
                                           Layout{"deflated.pt", "slideflow PyTorch tensor (zip)", kPixels, 0, ""},
                                           Layout{"float32.npy", "NumPy array", kNone, 0, ""},
                                           Layout{"float16.npy", "NumPy array", kNone, 0, ""},
                                           Layout{"big_endian.npy", "NumPy array", kNone, 0, ""}),
                         [](const auto& instance) {
                           std::string name = instance.param.file;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

struct Refusal {
  std::string file;
  std::string message;

  friend std::ostream& operator<<(std::ostream& out, const Refusal& each) { return out << each.file; }
};

class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, NamesFileFaultAndCure) {
  const std::string path = bag_file(GetParam().file);

  const std::string message = message_of<DataError>([&] { read_bag(path); });

  EXPECT_THAT(message, HasSubstr(path));
  EXPECT_THAT(message, ContainsRegex(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    FeatureBag, Refused,
    ::testing::Values(Refusal{"clam_patches.h5", "coordinates of patches, but no features.*h5_files"},
                      Refusal{"no_features.h5", "no dataset 'features'.*The file has 'other'"},
                      Refusal{"slide_embedding.h5", "shape \\(4\\).*one vector per slide"},
                      Refusal{"fewer_coords.h5", "5 coordinates for 6 patches"},
                      Refusal{"nan.h5", "patch 3.*feature 1 is not a finite number"},
                      Refusal{"never_written.h5", "rows that were never written.*make it again"},
                      Refusal{"latest.h5", "libver='latest'.*h5repack"},
                      Refusal{"transposed.pt", "not one after another.*contiguous"},
                      Refusal{"dictionary.pt", "a dictionary, not a bare tensor.*torch.save\\(tensor"},
                      Refusal{"runs_code.pt", "asks for '[a-z]*.system'.*nothing is run"},
                      Refusal{"runs_code_legacy.pt", "asks for '[a-z]*.system'.*nothing is run"},
                      Refusal{"parameter.pt", "asks for 'torch._utils._rebuild_parameter'"},
                      Refusal{"numpy.pt", "asks for 'numpy.*_reconstruct'"},
                      Refusal{"too_large.pt", "does not lie within its storage"},
                      Refusal{"columns.npy", "column by column.*ascontiguousarray"},
                      Refusal{"objects.npy", "no plain numbers"}),
    [](const auto& instance) {
      std::string name = instance.param.file;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST(FeatureBag, OfASlideWithoutTissueHasNoPatches) {
  const FeatureBag bag = read_bag(bag_file("trident_empty.h5"));

  EXPECT_EQ(bag.info.patches, 0);
  EXPECT_EQ(bag.info.width, kWidth);
  EXPECT_TRUE(bag.coordinates.empty());
}

TEST(FeatureBag, IsReadInPieces) {
  const auto bag = open_bag(bag_file("packed.h5"));
  const std::vector<float> expected = expected_features();

  for (std::int64_t begin = 0; begin < kPatches; ++begin) {
    for (std::int64_t count = 0; begin + count <= kPatches; ++count) {
      std::vector<float> rows(static_cast<std::size_t>(count * kWidth));
      bag->read_rows(begin, count, rows.data());
      EXPECT_TRUE(std::equal(rows.begin(), rows.end(), expected.begin() + begin * kWidth)) << begin << ' ' << count;
    }
  }
}

TEST(FeatureBag, TakesCoordinatesFromClamsPatchesFile) {
  const FeatureBag bag = read_bag(bag_file("zip.pt"), {.coordinates_path = bag_file("clam_patches.h5")});

  EXPECT_EQ(bag.coordinates, expected_coordinates());
  EXPECT_EQ(bag.info.unit, CoordinateUnit::level0_pixels);
  EXPECT_EQ(bag.info.patch_size, 1024);  // 256 pixels of level 1, which is 4 times smaller
}

TEST(FeatureBag, RefusesCoordinatesOfAnotherSlide) {
  const BagOptions options{.coordinates_path = bag_file("fewer_coords.h5")};

  const std::string message = message_of<DataError>([&] { read_bag(bag_file("zip.pt"), options); });

  EXPECT_THAT(message, HasSubstr("5 coordinates, but"));
}

// Every cut of every kind of file: refused, or (cut behind all that is needed) the same bag. Never a crash, never other
// numbers.
TEST(FeatureBag, CutAnywhereIsRefusedOrWhole) {
  const TemporaryFolder folder;
  for (const char* name : {"trident.h5", "trident_v108.h5", "packed.h5", "zip.pt", "legacy.pt", "float32.npy"}) {
    const std::string whole = bytes_of(bag_file(name));
    const std::string path = folder / name;
    for (std::size_t size = 0; size < whole.size(); size += 7) {
      put_bytes(path, whole.substr(0, size));
      try {
        EXPECT_EQ(read_bag(path).features, expected_features()) << name << " cut at " << size;
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr(path));
      }
    }
  }
}

// One byte changed at a time: numbers may change, since these formats have no checksums; memory and time may not.
TEST(FeatureBag, AnyChangedByteGivesABagOrADataError) {
  const TemporaryFolder folder;
  for (const char* name : {"trident.h5", "trident_v108.h5", "packed.h5", "zip.pt", "legacy.pt", "float32.npy"}) {
    const std::string whole = bytes_of(bag_file(name));
    const std::string path = folder / name;
    const std::size_t step = whole.size() / 500 + 1;
    for (std::size_t at = 0; at < whole.size(); at += step) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x5a);
      put_bytes(path, changed);
      try {
        const FeatureBag bag = read_bag(path);
        EXPECT_EQ(std::ssize(bag.features), bag.info.patches * bag.info.width);
      } catch (const DataError&) {
      } catch (const MemoryError&) {
      }
    }
  }
}

TEST(FeatureBag, KnowsTheSlideByTheName) {
  EXPECT_EQ(slide_id_of("/job/features_uni/TCGA-01.h5"), "TCGA-01");
  EXPECT_EQ(slide_id_of("pt_files/a.b.pt"), "a.b");
  EXPECT_EQ(slide_id_of("x_patches.h5"), "x");
  EXPECT_EQ(slide_id_of("s.ome.tiff.h5"), "s");
  EXPECT_TRUE(has_bag_ending("a.npy"));
  EXPECT_FALSE(has_bag_ending("a.index.npz"));
}

BagFileInfo writer_info() {
  return {.width = kWidth,
          .name = "slide_1",
          .folder = "/job",
          .encoder = "uni",
          .patch_size = 256,
          .patch_size_level0 = 512,
          .level0_magnification = 40,
          .target_magnification = 20,
          .level0_width = 16000,
          .level0_height = 12000,
          .patch_level = 1,
          .downsample = 2,
          .level_width = 8000,
          .level_height = 6000,
          .patch_order = "row"};
}

TEST(BagWriter, RoundTripIsExact) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.h5";
  const std::vector<float> features = expected_features();
  const std::vector<PatchCoordinate> coordinates = expected_coordinates();

  BagWriter writer(path, writer_info());
  writer.append(std::span(coordinates).first(2), std::span(features).first(2 * kWidth));
  writer.append(std::span(coordinates).subspan(2), std::span(features).subspan(2 * kWidth));
  EXPECT_EQ(folder.entries(), 1U);  // under a temporary name
  writer.commit();
  const FeatureBag bag = read_bag(path);

  EXPECT_EQ(bag.features, features);
  EXPECT_EQ(bag.coordinates, coordinates);
  EXPECT_EQ(bag.info.layout, "TRIDENT HDF5");
  EXPECT_EQ(bag.info.patch_size, 512);
  EXPECT_EQ(bag.info.encoder, "uni");
}

TEST(BagWriter, WritesLargeAndEmptyBags) {
  const TemporaryFolder folder;
  for (const std::int64_t patches : {0, 1, 40001}) {  // 16,384 rows of 4 features are a chunk
    const std::string path = folder / std::to_string(patches);
    std::vector<float> features;
    std::vector<PatchCoordinate> coordinates;
    for (std::int64_t i = 0; i < patches; ++i) {
      coordinates.push_back({static_cast<double>(i), -static_cast<double>(i)});
      for (int k = 0; k < kWidth; ++k) features.push_back(static_cast<float>(i) / static_cast<float>(k + 3));
    }
    BagWriter writer(path, writer_info());
    writer.append(coordinates, features);
    writer.commit();

    const FeatureBag bag = read_bag(path);

    EXPECT_EQ(bag.info.width, kWidth);
    EXPECT_EQ(bag.features, features);
    EXPECT_EQ(bag.coordinates, coordinates);
  }
}

TEST(BagWriter, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  {
    BagWriter writer(folder / "out.h5", writer_info());
    const std::vector<float> features{1, 2, NAN, 4};
    const std::vector<PatchCoordinate> at{{0, 0}};
    EXPECT_THAT(message_of<NumericError>([&] { writer.append(at, features); }), HasSubstr("patch 0"));
    const std::vector<PatchCoordinate> between{{0.5, 0}};
    EXPECT_THROW(writer.append(between, std::vector<float>(4)), ContractError);
  }
  EXPECT_EQ(folder.entries(), 0U);
}

// As CLAM's and TRIDENT's readers go about it, in Debian's own Python.
TEST(BagWriter, IsReadByH5pyAsClamAndTridentDo) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3-h5py is not installed";
  const TemporaryFolder folder;
  const std::string path = folder / "out.h5";
  BagWriter writer(path, writer_info());
  writer.append(expected_coordinates(), expected_features());
  writer.commit();

  const std::string code = "import h5py, numpy as np\nf = h5py.File(\"" + path + R"(", "r")
features, coords = f["features"][:], f["coords"][:]
assert features.shape == (6, 4) and features.dtype == np.float32 and coords.shape == (6, 2) and coords.dtype == np.int64
assert (features == np.arange(6)[:, None] - np.arange(4)[None] / 4).all() and tuple(coords[1]) == (512, 512)
a = dict(f["coords"].attrs)
assert a["patch_size"] == 256 and a["patch_level"] == 1 and a["patch_size_level0"] == 512 and a["overlap"] == 0, a
assert a["level0_magnification"] == 40 and a["target_magnification"] == 20 and a["level0_width"] == 16000
assert tuple(a["downsample"]) == (2, 2) and tuple(a["level_dim"]) == (8000, 6000) == tuple(a["downsampled_level_dim"])
text = lambda t: t.decode() if isinstance(t, bytes) else t
assert text(a["name"]) == "slide_1" and text(a["save_path"]) == "/job" == text(a["savetodir"])
assert text(f["features"].attrs["encoder"]) == "uni" and text(a["patch_order"]) == "row"
)";

  EXPECT_EQ(std::system(("/usr/bin/python3 -c '" + code + "'").c_str()), 0);
}

}  // namespace
}  // namespace strandline
