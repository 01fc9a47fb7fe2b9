// The arguments that `dna predict` and `dna embed` share: which records, cut how, computed where.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "apps/cli/device.hpp"
#include "apps/cli/progress.hpp"
#include "pipelines/run/encode_records.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {

struct EncodeArguments {
  std::string model;
  EncodeOptions encode;
  DeviceOptions device;
  bool quiet = false;
  const CLI::Option* batch_tokens_given = nullptr;
};

/// Adds the input, -m, the filters, the packing, --device, -t, --memory, --shard and --quiet. Not --window and
/// --stride, whose defaults differ.
void add_encode_arguments(CLI::App& command, EncodeArguments& arguments);

/// Adds --window and --stride. An absent window is 0 and `given` false.
void add_window_arguments(CLI::App& command, const std::string& window_help, WindowOptions& windows);

/// What one option cannot see alone. @throws CLI::ValidationError.
void check_encode_arguments(EncodeArguments& arguments);

/// A model on its back end, with the segments that a plan chose. `encode` has its windows; its batch and its memory are
/// set here. Says which back end runs and what it will take. @throws MemoryError when it would not fit.
LoadedClassifier place_model(StoredModel model, Backend& backend, const EncodeArguments& arguments,
                             EncodeOptions& encode, Progress& progress);

/// "1,234 records, 5.6 Mb, 1.2 Mb/s"
std::string describe(const EncodeProgress& progress, double seconds);

/// "2.1 s waiting for the reader, 7.9 s in the encoder, 0.0 s waiting for the writer; device memory: plan 1.20 GiB,
/// held 1.10 GiB". Without a card: of the time alone.
std::string describe_costs(const EncodeProgress& progress, const Backend& backend);

}  // namespace strandline
