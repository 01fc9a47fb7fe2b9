#include "apps/cli/bench_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apps/cli/operation_case.hpp"
#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/model/classifier.hpp"
#include "core/model/initialise.hpp"
#include "core/model/layer.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/run_plan.hpp"

namespace strandline {
namespace {

// fp32, or terms rounded to bf16 through a few layers; a wrong kernel is wrong by far more.
constexpr double kModelBoundFp32 = 1e-4;
constexpr double kModelBoundBf16 = 5e-2;
constexpr std::int64_t kCheckTokens = 201;      // not a multiple of a chunk
constexpr std::int64_t kMostCheckedLayers = 4;  // the reference is slow

struct Shapes {
  std::string name;
  EncoderConfig operations;
  EncoderConfig model;
  std::int64_t sequences = 1;
  bool both_directions = false;
};

// The last two are those of the official implementation's published runs.
std::vector<Shapes> all_shapes() {
  const EncoderConfig small{.d_model = 128, .layers = 4, .d_state = 64};
  const EncoderConfig middle{.d_model = 256, .layers = 16, .d_state = 128};
  const EncoderConfig large{.d_model = 768, .layers = 24, .d_state = 128};
  return {{"small", middle, small, 4, true}, {"256x16", middle, middle, 1, false}, {"768x24", large, large, 1, false}};
}

Shapes shapes_of(const BenchOptions& options) {
  for (Shapes shapes : all_shapes()) {
    if (shapes.name != options.shapes) continue;
    if (options.d_state > 0) shapes.operations.d_state = shapes.model.d_state = options.d_state;
    return shapes;
  }
  throw ContractError("bench: there are no shapes '" + options.shapes + "'");
}

std::string describe_operation(const std::string& name, const EncoderConfig& encoder) {
  if (name.starts_with("linear")) return fmt::format("{} to {}", encoder.d_model, encoder.in_proj_rows());
  if (name.starts_with("conv1d")) return fmt::format("{} channels, {} taps", encoder.conv_channels(), encoder.d_conv);
  if (name.starts_with("ssd_scan")) {
    return fmt::format("{} heads of {}, state {}", encoder.heads(), encoder.headdim, encoder.d_state);
  }
  return fmt::format("{} wide", name.starts_with("gated") ? encoder.d_inner() : encoder.d_model);
}

BenchCase operation_case(const OperationCase& operation, const EncoderConfig& encoder, std::int64_t tokens) {
  BenchCase bench;
  bench.name = operation.name;
  bench.shape = fmt::format("T {}, {}", tokens, describe_operation(operation.name, encoder));
  bench.tokens = tokens;
  bench.error_bound = [](const Backend& backend) { return error_bound(backend); };
  bench.error = [operation, encoder](Backend& backend) {
    return error_of(operation, backend, {.tokens = kCheckTokens, .encoder = encoder});
  };
  bench.open = [operation, encoder, tokens](Backend& backend) {
    const Operation made = operation.make(backend, {.tokens = tokens, .encoder = encoder});
    return BenchRun{[made] { made.run(); }, static_cast<double>(tokens), made.flop};
  };
  return bench;
}

PackedBatch random_batch(std::int64_t sequences, std::int64_t length) {
  RandomStream draws(2, 0);
  PackedBatch batch;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(length));
  for (std::int64_t s = 0; s < sequences; ++s) {
    for (std::int32_t& id : ids) id = dna::kA + static_cast<std::int32_t>(draws.below(4));
    batch.add(ids);
  }
  return batch;
}

ClassifierConfig classifier_of(const EncoderConfig& encoder) { return {.encoder = encoder, .classes = 8}; }

std::vector<double> pooled_of(Classifier& classifier, const PackedBatch& batch) {
  std::vector<float> pooled(static_cast<std::size_t>(batch.sequences() * classifier.config().encoder.d_model));
  classifier.embed(batch, pooled);
  return {pooled.begin(), pooled.end()};
}

double encoder_error(Backend& backend, EncoderConfig encoder) {
  encoder.layers = std::min(encoder.layers, kMostCheckedLayers * 128 / std::max<std::int64_t>(encoder.d_model, 128));
  encoder.layers = std::max<std::int64_t>(encoder.layers, 1);
  const PackedBatch batch = random_batch(3, kCheckTokens / 2);
  const auto reference = make_ref_backend();
  Classifier truth(classifier_of(encoder), *reference);
  truth.initialise(1);
  Classifier classifier(classifier_of(encoder), backend);
  classifier.initialise(1);
  return relative_error(pooled_of(classifier, batch), pooled_of(truth, batch));
}

// A model with its batch, placed as a run would be.
struct ModelWork {
  ModelWork(Backend& backend, const EncoderConfig& encoder, PackedBatch tokens, const RunPlan& plan)
      : classifier(classifier_of(encoder), backend, plan.encoder),
        batch(std::move(tokens)),
        labels(static_cast<std::size_t>(batch.sequences()), 1) {
    classifier.initialise(1);
    reserve(plan, classifier.encoder());
  }

  void forward() {
    Workspace& workspace = classifier.encoder().workspace();
    const Workspace::Scope scope(workspace);
    classifier.encoder().forward(batch, workspace.take(classifier.backend().accumulate_dtype(),
                                                       {batch.tokens(), classifier.config().encoder.d_model}));
  }
  void training_step() {
    classifier.zero_gradients();
    classifier.train_step(batch, labels, {.scale = 1.0 / static_cast<double>(labels.size())});
  }

  Classifier classifier;
  PackedBatch batch;
  std::vector<std::int32_t> labels;
};

// One block around a residual stream, without embedding and final norm.
struct LayerWork {
  LayerWork(Backend& back_end, const EncoderConfig& encoder, std::int64_t tokens, const EncoderOptions& options)
      : config(encoder),
        backend(back_end),
        weights(WeightLayout(config), backend),
        workspace(backend.memory()),
        sizes{.tokens = tokens, .encoder = config},
        tensors(backend, sizes),
        plan(tensors.seq_begin(), options.segment_tokens, config.chunk) {
    initialise(config, 1, weights);
    input_td = tensors.weight({tokens, config.d_model});
    output_td = tensors.gradient({tokens, config.d_model});
  }

  void forward() { layer_forward(context(), block_weights(config, weights, 0), {plan, input_td, output_td}); }
  void step() {
    if (!gradients) {
      gradients.emplace(weights.layout(), backend);
      doutput_td = tensors.weight(input_td.shape());
      dinput_td = tensors.gradient(input_td.shape());
    }
    forward();
    layer_backward(context(), block_weights(config, weights, 0), {plan, input_td, doutput_td, dinput_td},
                   block_weights(config, *gradients, 0));
  }
  BlockContext context() { return {config, backend, workspace}; }

  EncoderConfig config;
  Backend& backend;
  Weights weights;
  std::optional<Weights> gradients;
  Workspace workspace;
  OperationSizes sizes;
  Tensors tensors;
  SegmentPlan plan;
  View input_td;
  View output_td;
  View doutput_td;
  View dinput_td;
};

double model_bound(const Backend& backend) {
  return backend.dtype() == DType::bf16 ? kModelBoundBf16 : kModelBoundFp32;
}

BenchCase layer_case(EncoderConfig encoder, std::int64_t tokens, const BenchOptions& options, bool training) {
  encoder.layers = 1;
  BenchCase bench;
  bench.name = training ? "layer, both ways" : "layer";
  bench.shape = fmt::format("T {}, d_model {}, state {}", tokens, encoder.d_model, encoder.d_state);
  bench.tokens = tokens;
  bench.error_bound = model_bound;
  bench.error = [encoder](Backend& backend) { return encoder_error(backend, encoder); };
  bench.open = [=](Backend& backend) {
    const BatchShape batch{.tokens = tokens};
    const RunPlan plan = plan_run(classifier_of(encoder), backend,
                                  {.inference = training ? BatchShape{} : batch,
                                   .training = training ? batch : BatchShape{},
                                   .segment_tokens = options.segment_tokens,
                                   .memory_bytes = options.memory_bytes});
    const auto work = std::make_shared<LayerWork>(backend, encoder, tokens, plan.encoder);
    return BenchRun{[work, training] { training ? work->step() : work->forward(); }, static_cast<double>(tokens)};
  };
  return bench;
}

BenchCase model_case(const EncoderConfig& encoder, BatchShape batch, const BenchOptions& options, bool training) {
  const bool causal = encoder.direction == Direction::causal;
  BenchCase bench;
  bench.name = training ? "training step" : "encoder";
  bench.shape = fmt::format("{} x {}, d_model {}, {} layers, {}", batch.sequences, batch.longest, encoder.d_model,
                            encoder.layers, causal ? "causal" : "bidirectional");
  bench.tokens = batch.tokens;
  bench.error_bound = model_bound;
  bench.error = [encoder](Backend& backend) { return encoder_error(backend, encoder); };
  bench.open = [=](Backend& backend) {
    const RunPlan plan = plan_run(classifier_of(encoder), backend,
                                  {.inference = training ? BatchShape{} : batch,
                                   .training = training ? batch : BatchShape{},
                                   .segment_tokens = options.segment_tokens,
                                   .memory_bytes = options.memory_bytes});
    const auto work = std::make_shared<ModelWork>(backend, encoder, random_batch(batch.sequences, batch.longest), plan);
    return BenchRun{[work, training] { training ? work->training_step() : work->forward(); },
                    static_cast<double>(batch.tokens)};
  };
  return bench;
}

}  // namespace

std::vector<std::string> bench_shapes() {
  std::vector<std::string> names;
  for (const Shapes& shapes : all_shapes()) names.push_back(shapes.name);
  return names;
}

std::vector<BenchCase> bench_cases(const BenchOptions& options) {
  const Shapes shapes = shapes_of(options);
  std::vector<BenchCase> cases;
  for (const std::int64_t tokens : options.lengths) {
    for (const OperationCase& operation : encoder_operations()) {
      cases.push_back(operation_case(operation, shapes.operations, tokens));
    }
    for (const bool training : {false, true}) cases.push_back(layer_case(shapes.model, tokens, options, training));
    const std::int64_t sequences = std::min(shapes.sequences, tokens);
    const std::int64_t longest = tokens / sequences;
    const BatchShape batch{.tokens = sequences * longest, .sequences = sequences, .longest = longest};
    for (const bool training : {false, true}) {
      for (const Direction direction : {Direction::causal, Direction::bidirectional}) {
        if (direction == Direction::bidirectional && !shapes.both_directions) continue;
        EncoderConfig encoder = shapes.model;
        encoder.direction = direction;
        cases.push_back(model_case(encoder, batch, options, training));
      }
    }
  }
  return cases;
}

}  // namespace strandline
