// From slides to a job folder: files, list, resuming, what fails and what is empty.
#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "io/features/patch_coords_file.hpp"
#include "io/images/png_file.hpp"
#include "pipelines/slide/synthetic_slide.hpp"
#include "pipelines/slide/tile_slides.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/in_child.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/pipelines/slide_fixture.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;
using testing::kPink;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_painted_slide;

bool in_square(std::int64_t x, std::int64_t y) { return x >= 200 && x < 680 && y >= 200 && y < 680; }

struct Study {
  TemporaryFolder folder;
  TileOptions options;
  std::vector<std::string> slides;
  std::vector<std::string> said;

  Study() {
    options.folder = folder / "job";
    options.scale = {.spacing_um = 0.5, .patch_px = 100};
    options.rules = {.median_px = 1, .close_px = 0, .min_tissue_patches = 0.1, .min_hole_patches = 0.01};
    options.threads = 2;
  }

  std::string add(const std::string& name, const std::function<bool(std::int64_t, std::int64_t)>& tissue = in_square) {
    slides.push_back(folder / name);
    write_painted_slide(slides.back(), {1024, 896}, tissue);
    return slides.back();
  }

  TileSummary run(Resume resume = Resume::yes) {
    said.clear();
    return tile_slides(
        slides, options, resume,
        [&](const SlideDone& done) { said.push_back(name_of(done.row.status) + (done.was_done ? " before" : "")); },
        {});
  }

  std::string coords(const std::string& name) const { return tile_paths(options, name).coords; }
};

std::vector<PatchCoord> coords_in(const std::string& path) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t data = H5Dopen2(file, "coords", H5P_DEFAULT);
  const hid_t space = H5Dget_space(data);
  hsize_t size[2] = {};
  H5Sget_simple_extent_dims(space, size, nullptr);
  std::vector<PatchCoord> coords(size[0]);
  if (!coords.empty()) H5Dread(data, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, coords.data());
  H5Sclose(space);
  H5Dclose(data);
  H5Fclose(file);
  return coords;
}

std::int64_t whole_attribute(const std::string& path, const char* name) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t data = H5Dopen2(file, "coords", H5P_DEFAULT);
  const hid_t attribute = H5Aopen(data, name, H5P_DEFAULT);
  std::int64_t value = -1;
  H5Aread(attribute, H5T_NATIVE_INT64, &value);
  H5Aclose(attribute);
  H5Dclose(data);
  H5Fclose(file);
  return value;
}

TEST(TileSlides, WritesEveryFileOfASlide) {
  Study study;
  study.add("a.ome.tiff");

  const TileSummary summary = study.run();

  EXPECT_EQ(summary.processed, 1);
  const TilePaths paths = tile_paths(study.options, "a");
  EXPECT_THAT(paths.coords, ::testing::EndsWith("job/20x_100px_0px_overlap/patches/a_patches.h5"));
  std::vector<PatchCoord> wanted;
  for (std::int64_t y = 200; y < 700; y += 100) {
    for (std::int64_t x = 200; x < 700; x += 100) wanted.push_back({x, y});
  }
  EXPECT_EQ(coords_in(paths.coords), wanted);
  EXPECT_EQ(whole_attribute(paths.coords, "patch_size_level0"), 100);
  EXPECT_EQ(whole_attribute(paths.coords, "target_magnification"), 20);
  EXPECT_EQ(whole_attribute(paths.coords, "level0_width"), 1024);
  const RgbImage mask = read_png(paths.mask);
  EXPECT_EQ(mask.at(mask.width / 2, mask.height / 2)[0], 255);
  EXPECT_EQ(mask.at(0, 0)[0], 0);
  EXPECT_EQ(read_png(paths.thumbnail).width, 1024);
  EXPECT_NE(read_png(paths.grid).pixels, read_png(paths.thumbnail).pixels);
}

TEST(TileSlides, WritesOutlinesThatQuPathReads) {
  Study study;
  study.add("a.tiff", [](std::int64_t x, std::int64_t y) {
    return in_square(x, y) && !(x >= 400 && x < 496 && y >= 400 && y < 496);
  });

  study.run();
  const auto json = nlohmann::json::parse(testing::bytes_of(tile_paths(study.options, "a").outlines));

  EXPECT_EQ(json["type"], "FeatureCollection");
  ASSERT_EQ(json["features"].size(), 1U);
  const auto& feature = json["features"][0];
  EXPECT_EQ(feature["properties"]["objectType"], "annotation");
  EXPECT_EQ(feature["id"].get<std::string>().size(), 36U);
  const auto& rings = feature["geometry"]["coordinates"];
  ASSERT_EQ(rings.size(), 2U);
  EXPECT_EQ(rings[0].size(), 5U);  // a square, closed: points on straight lines are left out
  EXPECT_EQ(rings[0].front(), rings[0].back());
  EXPECT_EQ(rings[0][0], nlohmann::json::array({200, 200}));
}

TEST(TileSlides, GoesOnAfterASlideThatFails) {
  Study study;
  study.slides.push_back(study.folder / "missing.svs");
  study.slides.push_back(study.folder / "words.svs");
  testing::put_bytes(study.slides.back(), "no slide");
  study.add("good.tiff");
  study.add("glass.tiff", [](auto, auto) { return false; });

  const TileSummary summary = study.run();

  EXPECT_EQ(study.said, (std::vector<std::string>{"failed", "failed", "processed", "empty"}));
  EXPECT_EQ(summary.failed, 2);
  EXPECT_THROW(std::rethrow_exception(summary.first_failure), IoError);
  const ProcessList list(study.options.folder + "/process_list.tsv");
  EXPECT_THAT(list.find("missing")->message, ::testing::HasSubstr("No such file"));
  EXPECT_THAT(list.find("words")->message, ::testing::HasSubstr("not a slide"));
  EXPECT_EQ(list.find("good")->patches, 25);
  EXPECT_EQ(list.find("good")->mpp, 0.5);
  EXPECT_THAT(list.find("glass")->message, ::testing::HasSubstr("no tissue"));
  EXPECT_EQ(coords_in(study.coords("glass")).size(), 0U);
  EXPECT_FALSE(fs::exists(study.options.folder + "/.lock"));
}

TEST(TileSlides, DoesNotDoAgainWhatIsDone) {
  Study study;
  study.add("a.tiff");
  study.add("b.tiff");
  study.run();
  const std::string before = testing::bytes_of(study.coords("a"));

  study.run();
  EXPECT_EQ(study.said, (std::vector<std::string>{"processed before", "processed before"}));

  fs::remove(study.coords("b"));
  study.run();
  EXPECT_EQ(study.said, (std::vector<std::string>{"processed before", "processed"}));

  study.options.rules.saturation_above = 9;
  study.run();
  EXPECT_EQ(study.said, (std::vector<std::string>{"processed", "processed"}));

  study.run(Resume::no);
  EXPECT_EQ(study.said, (std::vector<std::string>{"processed", "processed"}));

  write_painted_slide(study.slides[0], {1200, 896}, in_square);
  study.run();
  EXPECT_EQ(study.said, (std::vector<std::string>{"processed", "processed before"}));
  EXPECT_NE(testing::bytes_of(study.coords("a")), before);
}

TEST(TileSlides, GivesTheSameBytesForAnyNumberOfThreads) {
  Study study;
  study.add("a.tiff", [](std::int64_t x, std::int64_t y) { return (x / 170 + y / 130) % 2 == 0; });
  const auto bytes = [&](int threads) {
    study.options.threads = threads;
    study.run(Resume::no);
    const TilePaths paths = tile_paths(study.options, "a");
    std::string all;
    for (const std::string& path : {paths.coords, paths.mask, paths.thumbnail, paths.grid, paths.outlines}) {
      all += testing::bytes_of(path);
    }
    return all;
  };

  const std::string one = bytes(1);

  EXPECT_GT(one.size(), 1000U);
  EXPECT_EQ(bytes(3), one);
}

TEST(TileSlides, AFailureTakesAwayWhatAnEarlierRunWrote) {
  Study study;
  const std::string path = study.add("a.tiff");
  study.run();
  testing::put_bytes(path, "no slide any more");

  study.run();

  EXPECT_EQ(study.said, (std::vector<std::string>{"failed"}));
  EXPECT_FALSE(fs::exists(study.coords("a")));
}

TEST(TileSlides, OverlapAndResizingReachTheGrid) {
  Study study;
  study.add("a.tiff");
  study.options.scale.spacing_um = 1.0;  // 0.5 in the file: a patch of 100 is 200 level-0 pixels
  study.options.overlap_px = 50;

  study.run();
  const std::vector<PatchCoord> coords = coords_in(study.coords("a"));

  EXPECT_THAT(study.coords("a"), ::testing::HasSubstr("/10x_100px_50px_overlap/"));
  EXPECT_EQ(coords.at(1)[0] - coords.at(0)[0], 100);
  EXPECT_EQ(whole_attribute(study.coords("a"), "patch_level"), 1);
  EXPECT_EQ(whole_attribute(study.coords("a"), "patch_size_level0"), 200);
}

TEST(TileSlides, AFullDiskEndsTheRunAndLeavesNothingHalf) {
  Study study;
  study.add("a.tiff");

  const auto result = testing::in_child_with_file_limit(2000, [&] { study.run(); });

  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.message, ::testing::ContainsRegex("cannot write: File too large"));
  EXPECT_FALSE(fs::exists(study.coords("a")));
  for (const auto& entry : fs::recursive_directory_iterator(study.options.folder)) {
    EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos) << entry.path();
  }
}

TEST(TileSlides, RefusesOptionsThatMakeNoGrid) {
  Study study;
  study.add("a.tiff");

  study.options.overlap_px = 100;
  EXPECT_THROW(study.run(), ContractError);
  study.options.overlap_px = 0;
  study.options.scale.spacing_um = 0.0;
  EXPECT_THROW(study.run(), ContractError);
}

TEST(FindSlides, TakesFoldersAndRefusesTwoOfOneName) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "more");
  for (const char* name : {"b.svs", "a.TIFF", "notes.txt", "more/a.svs"}) testing::put_bytes(folder / name, "x");

  EXPECT_EQ(find_slides({folder.path().string()}), (std::vector<std::string>{folder / "a.TIFF", folder / "b.svs"}));
  EXPECT_THAT(message_of<DataError>([&] {
                find_slides({folder.path().string(), folder / "more"});
              }),
              ::testing::HasSubstr("name of those of"));
  fs::remove(folder / "more/a.svs");
  EXPECT_THROW(find_slides({folder / "more"}), DataError);
  EXPECT_EQ(slide_name("x/one.ome.tif"), "one");
  EXPECT_EQ(slide_name("one.v2.svs"), "one.v2");
}

TEST(ProcessList, RefusesAListThatIsNotItsOwn) {
  const TemporaryFolder folder;
  testing::put_bytes(folder / "list.tsv", "slide_id\tstatus\na\tdone\n");

  EXPECT_THROW(ProcessList{folder / "list.tsv"}, DataError);
}

TEST(SyntheticSlide, PlantsLesionsInsideTissue) {
  const SyntheticSlide slide({.width = 1024, .height = 1024, .lesions = 2, .seed = 7});
  std::int64_t tissue = 0;
  std::int64_t lesion = 0;

  for (std::int64_t y = 0; y < 1024; y += 4) {
    for (std::int64_t x = 0; x < 1024; x += 4) {
      tissue += slide.is_tissue(x, y) ? 1 : 0;
      lesion += slide.is_lesion(x, y) ? 1 : 0;
      if (slide.is_lesion(x, y)) {
        EXPECT_TRUE(slide.is_tissue(x, y));
      }
    }
  }

  EXPECT_GT(tissue, 256 * 256 / 5);
  EXPECT_GT(lesion, tissue / 50);
  EXPECT_LT(lesion, tissue / 2);
  const GrayImage mask = slide.lesion_mask(4);
  EXPECT_NEAR(static_cast<double>(std::count(mask.pixels.begin(), mask.pixels.end(), 255)), static_cast<double>(lesion),
              0.05 * static_cast<double>(lesion));  // the same ellipses, sampled two pixels away
}

TEST(SyntheticSlide, StudyIsTheSameForTheSameSeedAndTiles) {
  const TemporaryFolder folder;
  const SyntheticStudyOptions options{.slides = 2, .slide = {.width = 1024, .height = 768, .lesions = 1, .seed = 3}};
  SyntheticStudyOptions other = options;
  other.slide.seed = 4;

  write_synthetic_study(folder / "one", options);
  write_synthetic_study(folder / "two", options);
  write_synthetic_study(folder / "other", other);
  TileOptions tile;
  tile.folder = folder / "job";
  tile.scale.patch_px = 64;
  tile.rules.min_tissue_patches = 0.1;  // the slides are small
  const TileSummary summary =
      tile_slides(find_slides({folder / "one/slides"}), tile, Resume::yes, [](const SlideDone&) {}, {});

  const auto bytes = [&](const std::string& study) {
    return testing::bytes_of(folder / (study + "/slides/slide_002.tiff"));
  };
  EXPECT_EQ(bytes("one"), bytes("two"));
  EXPECT_NE(bytes("one"), bytes("other"));
  EXPECT_EQ(testing::bytes_of(folder / "one/labels.csv"),
            "case_id,slide_id,label\ncase_001,slide_001,normal\ncase_002,slide_002,tumour\n");
  EXPECT_EQ(summary.processed, 2);
  EXPECT_GT(summary.patches, 2 * 40);
  // Tissue is found where it was painted: no patch without any.
  const SyntheticSlide painted({.width = 1024, .height = 768, .seed = 3U << 20U});
  for (const PatchCoord& corner : coords_in(tile_paths(tile, "slide_001").coords)) {
    bool any = false;
    for (std::int64_t i = 0; i < 96 * 96 && !any; ++i)
      any = painted.is_tissue(corner[0] - 16 + i % 96, corner[1] - 16 + i / 96);
    EXPECT_TRUE(any) << corner[0] << " " << corner[1];
  }
}

}  // namespace
}  // namespace strandline
