// `strandline slide make-example`
#include <memory>

#include "apps/cli/commands.hpp"
#include "apps/cli/progress.hpp"
#include "pipelines/slide/synthetic_slide.hpp"

namespace strandline {
namespace {

constexpr const char* kExamples =
    "Example:\n"
    "  strandline slide make-example --slides 8 -o example/\n"
    "Writes example/slides/*.tiff, example/labels.csv, and example/lesions/*.png: where the planted lesions are, at "
    "1/16.\n"
    "Every other slide is a tumour. The same options give the same slides.";

struct ExampleArguments {
  std::string folder;
  SyntheticStudyOptions study{.slide = {.lesions = 3}};
  std::int64_t size = 4096;
  bool quiet = false;
};

void run(ExampleArguments& arguments) {
  arguments.study.slide.width = arguments.size;
  arguments.study.slide.height = arguments.size;
  write_synthetic_study(arguments.folder, arguments.study);
  Progress(arguments.quiet).show(std::to_string(arguments.study.slides) + " slides in " + arguments.folder);
}

}  // namespace

void add_slide_make_example(CLI::App& parent) {
  CLI::App* command = parent.add_subcommand("make-example", "Small synthetic slides with planted lesions");
  const auto arguments = std::make_shared<ExampleArguments>();
  SyntheticStudyOptions& study = arguments->study;
  command->add_option("-o,--output", arguments->folder, "Folder to write to")->required()->type_name("DIR");
  command->add_option("--slides", study.slides, "How many")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--size", arguments->size, "Width and height in pixels")
      ->check(CLI::Range(512, 32768))
      ->capture_default_str();
  command->add_option("--mpp", study.slide.spacing_um, "Micrometres per pixel")
      ->check(CLI::Range(0.05, 10.0))
      ->capture_default_str();
  command->add_option("--lesions", study.slide.lesions, "In each tumour slide")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->add_option("--seed", study.slide.seed, "Of everything random")->capture_default_str();
  command->add_flag("--quiet", arguments->quiet, "Say nothing but errors");
  command->footer(kExamples);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace strandline
