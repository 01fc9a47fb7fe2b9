#include "apps/cli/bench_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/philox.hpp"
#include "core/model/classifier.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/train/adamw_optimizer.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/model_store.hpp"
#include "pipelines/run/run_plan.hpp"

namespace strandline {
namespace {

constexpr double kBoundFp32 = 1e-4;
constexpr double kBoundBf16 = 5e-2;
constexpr std::int64_t kCheckTokens = 200;  // not a multiple of a chunk

PackedBatch random_sequence(std::int64_t length) {
  RandomStream draws(3, 0);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(length));
  for (std::int32_t& id : ids) id = dna::kA + static_cast<std::int32_t>(draws.below(4));
  PackedBatch batch;
  batch.add(ids);
  return batch;
}

std::vector<float> pooled_of(const StoredModel& model, Backend& backend) {
  const LoadedClassifier loaded = make_classifier(model, backend);
  std::vector<float> pooled(static_cast<std::size_t>(model.config.encoder.d_model));
  loaded.classifier->embed(random_sequence(kCheckTokens), pooled);
  return pooled;
}

double error_against_reference(const StoredModel& model, Backend& backend) {
  const auto reference = make_ref_backend();
  const std::vector<float> truth = pooled_of(model, *reference);
  const std::vector<float> pooled = pooled_of(model, backend);
  double error = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double difference = std::abs(static_cast<double>(pooled[i]) - static_cast<double>(truth[i]));
    error = std::isnan(difference) ? HUGE_VAL : std::max(error, difference);
    largest = std::max(largest, std::abs(static_cast<double>(truth[i])));
  }
  return error / largest;
}

struct ModelWork {
  ModelWork(const StoredModel& model, Backend& backend, std::int64_t length, const EncoderOptions& options)
      : loaded(make_classifier(model, backend, options)),
        optimizer(AdamwOptions{}, backend, loaded.classifier->weights()),
        batch(random_sequence(length)),
        pooled(static_cast<std::size_t>(model.config.encoder.d_model)) {}

  void forward() { loaded.classifier->embed(batch, pooled); }

  void training_step() {
    Classifier& classifier = *loaded.classifier;
    const std::int32_t label = 0;
    classifier.zero_gradients();
    const TrainStepResult result = classifier.train_step(batch, {&label, 1}, {});
    // A rate of zero: every repeat does the same work on the same weights.
    optimizer.step(
        {.gradients = classifier.gradients(), .learning_rate = 0.0, .loss = result.loss_sum, .update = ++updates});
  }

  LoadedClassifier loaded;
  AdamwOptimizer optimizer;
  PackedBatch batch;
  std::vector<float> pooled;
  std::int64_t updates = 0;
};

BenchCase model_case(const StoredModel& model, std::int64_t length, const BenchOptions& options, bool training) {
  BenchCase bench;
  bench.name = training ? "training step" : "forward";
  bench.shape = fmt::format("1 x {}", length);
  bench.tokens = length;
  bench.error_bound = [](const Backend& backend) { return backend.dtype() == DType::bf16 ? kBoundBf16 : kBoundFp32; };
  bench.error = [model](Backend& backend) { return error_against_reference(model, backend); };
  bench.open = [model, length, options, training](Backend& backend) {
    const BatchShape batch{.tokens = length};
    const RunPlan plan = plan_run(model.config, backend,
                                  {.inference = training ? BatchShape{} : batch,
                                   .training = training ? batch : BatchShape{},
                                   .segment_tokens = options.segment_tokens,
                                   .memory_bytes = options.memory_bytes});
    const auto work = std::make_shared<ModelWork>(model, backend, length, plan.encoder);
    reserve(plan, work->loaded.classifier->encoder());
    BenchRun run;
    run.tokens = static_cast<double>(length);
    if (training) {
      run.work = [work] { work->training_step(); };
    } else {
      run.work = [work] { work->forward(); };
    }
    return run;
  };
  return bench;
}

}  // namespace

std::vector<BenchCase> model_file_cases(const std::string& path, const BenchOptions& options) {
  const StoredModel model = load_model(path);
  std::vector<BenchCase> cases;
  for (const bool training : {false, true}) {
    for (const std::int64_t length : options.lengths) cases.push_back(model_case(model, length, options, training));
  }
  return cases;
}

}  // namespace strandline
