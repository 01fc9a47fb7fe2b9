// `strandline slide tile`
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/cli/commands.hpp"
#include "apps/cli/progress.hpp"
#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/slide/tile_slides.hpp"

namespace strandline {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline slide tile slides/ --mpp 0.5 --patch 256 -o job/\n"
    "  strandline slide tile a.svs b.ndpi --mpp 0.5 --patch 512 --tissue bwh_biopsy --check -o job/\n"
    "  strandline slide tile scan.tiff --assume-mpp 0.25 --grid contour --contour-test four_pt -o job/\n"
    "Writes, for each slide: the places of its patches (HDF5, read by TRIDENT and CLAM), tissue mask, thumbnail, "
    "picture\n"
    "of the grid, outlines for QuPath; and process_list.tsv with a line for every slide. The same command again goes "
    "on\n"
    "where it stopped, and tries again what failed.";

struct TileArguments {
  std::vector<std::string> slides;
  TileOptions tile;
  std::string preset = "small";
  std::string preset_file;
  std::string contour_test;
  std::string grid = "slide";
  std::string on_bad_tile = "error";
  std::vector<int> background;
  double saturation = -1.0;
  double min_area = -1.0;
  bool otsu = false;
  bool inside = false;
  bool check = false;
  bool redo = false;
  bool quiet = false;
};

void add_scale_options(CLI::App& command, TileArguments& arguments) {
  TileOptions& tile = arguments.tile;
  command.add_option("--mpp", tile.scale.spacing_um, "Micrometres per pixel of a patch; 0.5 is what 20x stands for")
      ->check(CLI::Range(0.05, 100.0))
      ->capture_default_str();
  command.add_option("--patch", tile.scale.patch_px, "Side of a patch in pixels")
      ->check(CLI::Range(8, 32768))
      ->capture_default_str();
  command.add_option("--overlap", tile.overlap_px, "Of neighbouring patches, in pixels")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--mpp-tolerance", tile.scale.tolerance,
                  "A level whose scale is this near is taken as it is, without resizing")
      ->check(CLI::Range(0.0, 0.2))
      ->capture_default_str();
  command
      .add_option("--assume-mpp", tile.slide.assume_spacing_um,
                  "Micrometres per level-0 pixel, for slides that do not say it")
      ->check(CLI::Range(0.05, 10.0))
      ->type_name("UM");
  command
      .add_option("--background", arguments.background,
                  "Colour behind transparent and missing parts; default: the slide's, or white")
      ->check(CLI::Range(0, 255))
      ->expected(3)
      ->type_name("R G B");
}

void add_tissue_options(CLI::App& command, TileArguments& arguments) {
  const std::string group = "Tissue and grid";
  CLI::Option* preset =
      command
          .add_option("--tissue", arguments.preset, "Rules for tissue: small, clam, tcga, bwh_biopsy, bwh_resection")
          ->check(CLI::IsMember(tissue_preset_names()))
          ->capture_default_str()
          ->group(group);
  command.add_option("--tissue-preset", arguments.preset_file, "Rules for tissue from a CSV in CLAM's form")
      ->excludes(preset)
      ->type_name("CSV")
      ->group(group);
  command.add_option("--saturation", arguments.saturation, "Tissue is more saturated than this")
      ->check(CLI::Range(0.0, 255.0))
      ->group(group);
  command.add_flag("--otsu", arguments.otsu, "Find the threshold of saturation by Otsu's method")->group(group);
  command
      .add_option("--min-area", arguments.min_area, "Smallest piece of tissue, in areas of 512 x 512 level-0 pixels")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  command
      .add_option(
          "--grid", arguments.grid,
          "slide: one lattice from the slide's corner, row by row; contour: one for each piece of tissue, as CLAM")
      ->check(CLI::IsMember({"slide", "contour"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--min-tissue", arguments.tile.min_tissue, "--grid slide: least share of tissue of a patch; 0: any")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--contour-test", arguments.contour_test, "--grid contour: which points must lie in tissue")
      ->check(CLI::IsMember({"four_pt", "four_pt_hard", "center", "basic"}))
      ->group(group);
  command.add_flag("--inside", arguments.inside, "No patch may overrun the slide")->group(group);
}

void apply_rules(TileArguments& arguments) {
  TileOptions& tile = arguments.tile;
  tile.rules =
      arguments.preset_file.empty() ? tissue_preset(arguments.preset) : read_tissue_rules(arguments.preset_file);
  if (arguments.saturation >= 0.0) tile.rules.saturation_above = arguments.saturation;
  if (arguments.min_area >= 0.0) tile.rules.min_tissue_patches = arguments.min_area;
  if (arguments.otsu) tile.rules.otsu = true;
  if (arguments.inside) tile.rules.edges = Edges::inside;
  if (!arguments.contour_test.empty()) tile.rules.contour_test = parse_contour_test(arguments.contour_test);
  tile.anchor = arguments.grid == "contour" ? GridAnchor::contour : GridAnchor::slide;
  tile.on_bad_tile = parse_on_bad_tile(arguments.on_bad_tile);
  tile.check = arguments.check ? CheckPatches::yes : CheckPatches::no;
  if (!arguments.background.empty()) {
    const auto part = [&](std::size_t i) { return static_cast<std::uint8_t>(arguments.background.at(i)); };
    tile.slide.background = Rgb{part(0), part(1), part(2)};
  }
  if (tile.overlap_px >= tile.scale.patch_px) throw CLI::ValidationError("--overlap", "is not less than --patch");
  if (tile.threads == 0) tile.threads = available_threads();
}

// What went wrong is said also with --quiet.
void say(const SlideDone& done, Progress& progress) {
  const ProcessRow& row = done.row;
  if (row.status == SlideStatus::failed) {
    std::fprintf(stderr, "strandline: %s failed: %s\n", row.slide_id.c_str(), row.message.c_str());
  } else if (!row.message.empty() && !done.was_done) {
    std::fprintf(stderr, "strandline: %s: %s\n", row.slide_id.c_str(), row.message.c_str());
  }
  if (progress.is_due()) progress.show(fmt::format("slide {} of {}: {}", done.number, done.total, row.slide_id));
}

std::string describe(const TileSummary& summary, std::int64_t slides, double seconds) {
  std::string text =
      fmt::format("{} slide{}: {} with patches ({}), {} empty, {} failed", slides, slides == 1 ? "" : "s",
                  summary.processed, summary.patches, summary.empty, summary.failed);
  if (summary.bad_patches > 0) text += fmt::format("; {} patches could not be read", summary.bad_patches);
  if (summary.were_done > 0) text += fmt::format("; {} were done before", summary.were_done);
  return text + ", " + format_duration(seconds);
}

// The kind of the first failure decides the exit code; each has had its own line.
[[noreturn]] void fail(const TileSummary& summary, const std::string& folder) {
  const std::string text = fmt::format("{} slide{} failed; {} says why", summary.failed, summary.failed == 1 ? "" : "s",
                                       (std::filesystem::path(folder) / "process_list.tsv").string());
  try {
    std::rethrow_exception(summary.first_failure);
  } catch (const IoError& error) {
    throw IoError(fmt::format("{}, the first", text), "read it", error.error_number());
  } catch (const MemoryError&) {
    throw MemoryError(text);
  } catch (const ContractError&) {
    throw ContractError(text);
  } catch (const Error&) {
    throw DataError({}, text);
  }
}

void run(TileArguments& arguments, const Program& program) {
  using Clock = std::chrono::steady_clock;
  apply_rules(arguments);
  arguments.tile.program_version = kVersion;
  const std::vector<std::string> slides = find_slides(arguments.slides);
  const auto start = Clock::now();
  Progress progress(arguments.quiet);
  const TileSummary summary = tile_slides(
      slides, arguments.tile, arguments.redo ? Resume::no : Resume::yes,
      [&](const SlideDone& done) { say(done, progress); }, program.stop);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  progress.show(describe(summary, static_cast<std::int64_t>(slides.size()), seconds));
  if (summary.failed > 0) fail(summary, arguments.tile.folder);
}

}  // namespace

void add_slide_tile(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("tile", "Find tissue and lay a grid of patches over it");
  const auto arguments = std::make_shared<TileArguments>();
  command->add_option("slides", arguments->slides, "Slides, or folders of slides")->required()->type_name("SLIDE");
  command->add_option("-o,--output", arguments->tile.folder, "Folder of the job")->required()->type_name("DIR");
  add_scale_options(*command, *arguments);
  add_tissue_options(*command, *arguments);
  command
      ->add_option("--on-bad-tile", arguments->on_bad_tile,
                   "What cannot be read: error fails the slide, skip leaves its patches out, mask takes background")
      ->check(CLI::IsMember({"error", "skip", "mask"}))
      ->capture_default_str();
  command->add_flag("--check", arguments->check, "Read every patch once, so that what is listed can be read");
  command->add_option("-t,--threads", arguments->tile.threads, "Threads that read; 0: all that this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--redo", arguments->redo, "Also what an earlier run has done");
  command->add_flag("-q,--quiet", arguments->quiet, "Say nothing but what went wrong");
  command->footer(kExamples);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
