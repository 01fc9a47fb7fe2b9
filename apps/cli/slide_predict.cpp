// `strandline slide predict`
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "apps/cli/commands.hpp"
#include "apps/cli/device.hpp"
#include "apps/cli/progress.hpp"
#include "core/base/error.hpp"
#include "pipelines/slide/predict_slides.hpp"

namespace strandline {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  strandline slide predict --model run features/*.h5 > slides.tsv\n"
    "  strandline slide predict --model run/fold_0/model.h5 pt_files --coords patches -o slides.tsv\n"
    "With the folder of a training run, all its folds vote: p is the mean of their probabilities.\n"
    "The table: slide_id, patches, label, score, p_<class>..., note. A slide that cannot be read has NA and the "
    "reason;\n"
    "the others go on, and the exit code is 65.";

struct PredictArguments {
  SlidePredictOptions predict;
  DeviceOptions device;
  bool quiet = false;
};

void run(const PredictArguments& arguments, const Program& program) {
  const auto backend = make_backend(arguments.device);
  Progress progress(arguments.quiet);
  progress.say(describe_backend(*backend, arguments.device));
  const SlidePredictControl control{program.stop, [&](std::int64_t done, std::int64_t all) {
                                      if (progress.is_due()) progress.show(fmt::format("{} of {} slides", done, all));
                                    }};
  const SlidePredictSummary summary = predict_slides(arguments.predict, *backend, control);
  progress.show(fmt::format("{} slides, {} models", summary.slides - summary.failed, summary.models));
  if (summary.failed > 0) {
    throw DataError({.file = arguments.predict.output == "-" ? "standard output" : arguments.predict.output},
                    fmt::format("{} of {} slides got no prediction; the first: {}", summary.failed, summary.slides,
                                summary.first_failure),
                    "Their rows say why; the other rows are good");
  }
}

}  // namespace

void add_slide_predict(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("predict", "Classify slides from their patch features");
  const auto arguments = std::make_shared<PredictArguments>();
  command->add_option("-m,--model", arguments->predict.model, "A model, or the folder that 'slide train' wrote")
      ->required()
      ->type_name("PATH");
  command->add_option("features", arguments->predict.bags, "Bags of patch features, or folders of them")
      ->required()
      ->type_name("FILE...");
  command
      ->add_option("--coords", arguments->predict.coordinates,
                   "Folder of HDF5 files with coordinates, for features without (.pt, .npy)")
      ->type_name("FOLDER");
  command->add_option("-o,--output", arguments->predict.output, "The table; - for standard output")
      ->type_name("TSV")
      ->capture_default_str();
  command->add_flag("-q,--quiet", arguments->quiet, "No progress");
  add_device_options(*command, arguments->device);
  command->footer(kFooter);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
