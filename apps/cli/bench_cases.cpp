#include "apps/cli/bench_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/base/philox.hpp"
#include "core/model/classifier.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/tensor/buffer.hpp"
#include "core/tensor/host_copy.hpp"
#include "core/vocab/dna.hpp"

namespace strandline {
namespace {

// fp32 with sums of a few hundred terms; a wrong kernel is wrong by far more.
constexpr double kErrorBound = 1e-4;
constexpr std::int64_t kCheckTokens = 200;  // not a multiple of a chunk
constexpr std::int64_t kTokens = 4096;

// Tensors of one case on one back end; the same numbers on every back end.
class Tensors {
 public:
  explicit Tensors(Backend& backend) : backend_(backend) {}

  View random(const Shape& shape, double low = -1.0, double high = 1.0) {
    RandomStream draws(1, stream_++);
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    for (float& value : values) value = static_cast<float>(low + (high - low) * draws.uniform());
    const View view = empty(shape);
    upload_values(backend_.memory(), values, view);
    return view;
  }
  View empty(const Shape& shape) {
    buffers_.push_back(std::make_unique<Buffer>(backend_.memory(), backend_.accumulate_dtype(), shape));
    return buffers_.back()->view();
  }

 private:
  Backend& backend_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::uint64_t stream_ = 0;
};

std::vector<double> numbers_of(Backend& backend, const View& view) {
  backend.synchronize();
  std::vector<double> values(static_cast<std::size_t>(view.elements()));
  download_values(backend.memory(), view, values);
  return values;
}

double relative_error(std::span<const double> values, std::span<const double> truth) {
  double error = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    // NaN must not pass as a small error.
    const double difference = std::abs(values[i] - truth[i]);
    error = std::isnan(difference) ? HUGE_VAL : std::max(error, difference);
    largest = std::max(largest, std::abs(truth[i]));
  }
  return error / largest;
}

// An operation with its tensors: run() may be called again and again.
struct Operation {
  std::shared_ptr<Tensors> tensors;
  std::function<void()> run;
  View output;
  double flop = 0.0;
};

using MakeOperation = std::function<Operation(Backend& backend, std::int64_t tokens)>;

BenchCase operation_case(const std::string& name, const std::string& shape, const MakeOperation& make) {
  BenchCase bench;
  bench.name = name;
  bench.shape = fmt::format("T {}, {}", kTokens, shape);
  bench.error_bound = kErrorBound;
  bench.error = [make](Backend& backend) {
    const auto reference = make_ref_backend();
    const Operation truth = make(*reference, kCheckTokens);
    truth.run();
    const Operation operation = make(backend, kCheckTokens);
    operation.run();
    return relative_error(numbers_of(backend, operation.output), numbers_of(*reference, truth.output));
  };
  bench.open = [make](Backend& backend) {
    const Operation operation = make(backend, kTokens);
    return BenchRun{[operation] { operation.run(); }, static_cast<double>(kTokens), operation.flop};
  };
  return bench;
}

Operation make_linear(Backend& backend, std::int64_t tokens) {
  constexpr std::int64_t kInputs = 256;
  constexpr std::int64_t kOutputs = 1288;
  Operation operation;
  operation.tensors = std::make_shared<Tensors>(backend);
  ops::LinearArgs args;
  args.x_ti = operation.tensors->random({tokens, kInputs});
  args.weight_oi = operation.tensors->random({kOutputs, kInputs});
  args.y_to = operation.tensors->empty({tokens, kOutputs});
  operation.output = args.y_to;
  operation.flop = 2.0 * static_cast<double>(tokens * kInputs * kOutputs);
  operation.run = [&backend, args] { ops::linear(backend, args); };
  return operation;
}

Operation make_conv1d(Backend& backend, std::int64_t tokens) {
  constexpr std::int64_t kChannels = 768;
  constexpr std::int64_t kTaps = 4;
  Operation operation;
  operation.tensors = std::make_shared<Tensors>(backend);
  const auto seq_begin = std::make_shared<std::vector<std::int64_t>>(std::initializer_list<std::int64_t>{0, tokens});
  ops::Conv1dArgs args;
  args.x_tc = operation.tensors->random({tokens, kChannels});
  args.weight_ck = operation.tensors->random({kChannels, kTaps});
  args.bias_c = operation.tensors->random({kChannels});
  args.seq_begin = *seq_begin;
  args.y_tc = operation.tensors->empty({tokens, kChannels});
  operation.output = args.y_tc;
  operation.flop = 2.0 * static_cast<double>(tokens * kChannels * kTaps);
  operation.run = [&backend, args, seq_begin] { ops::conv1d(backend, args); };
  return operation;
}

Operation make_ssd_scan(Backend& backend, std::int64_t tokens) {
  constexpr std::int64_t kHeads = 8;
  constexpr std::int64_t kWidth = 64;
  constexpr std::int64_t kState = 128;
  Operation operation;
  operation.tensors = std::make_shared<Tensors>(backend);
  Tensors& tensors = *operation.tensors;
  const auto seq_begin = std::make_shared<std::vector<std::int64_t>>(std::initializer_list<std::int64_t>{0, tokens});
  ops::SsdScanArgs args;
  args.x_thp = tensors.random({tokens, kHeads, kWidth});
  args.dt_th = tensors.random({tokens, kHeads});
  args.a_log_h = tensors.random({kHeads}, 0.0, 2.7);
  args.b_tgn = tensors.random({tokens, 1, kState});
  args.c_tgn = tensors.random({tokens, 1, kState});
  args.d_h = tensors.random({kHeads});
  args.dt_bias_h = tensors.random({kHeads}, -6.0, -2.0);
  args.seq_begin = *seq_begin;
  args.y_thp = tensors.empty({tokens, kHeads, kWidth});
  operation.output = args.y_thp;
  // The chunked form, see ops::ssd_scan.
  operation.flop = static_cast<double>(tokens * kHeads) *
                   (4.0 * kWidth * kState + static_cast<double>(args.chunk) * (kWidth + kState / kHeads));
  operation.run = [&backend, args, seq_begin] { ops::ssd_scan(backend, args); };
  return operation;
}

ClassifierConfig bench_config(Direction direction) {
  ClassifierConfig config;
  config.encoder.d_model = 128;
  config.encoder.layers = 4;
  config.encoder.d_state = 64;
  config.encoder.direction = direction;
  config.classes = 8;
  return config;
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

std::vector<double> pooled_of(Classifier& classifier, const PackedBatch& batch) {
  std::vector<float> pooled(static_cast<std::size_t>(batch.sequences() * classifier.config().encoder.d_model));
  classifier.embed(batch, pooled);
  return {pooled.begin(), pooled.end()};
}

double encoder_error(Backend& backend, Direction direction) {
  const PackedBatch batch = random_batch(3, kCheckTokens / 2);
  const auto reference = make_ref_backend();
  Classifier truth(bench_config(direction), *reference);
  truth.initialise(1);
  Classifier classifier(bench_config(direction), backend);
  classifier.initialise(1);
  return relative_error(pooled_of(classifier, batch), pooled_of(truth, batch));
}

// A classifier with its batch, for the two cases of the whole model.
struct ModelWork {
  ModelWork(Backend& backend, Direction direction)
      : classifier(bench_config(direction), backend),
        batch(random_batch(4, kTokens / 4)),
        logits(static_cast<std::size_t>(batch.sequences() * classifier.config().classes)),
        labels(static_cast<std::size_t>(batch.sequences()), 1) {
    classifier.initialise(1);
  }

  Classifier classifier;
  PackedBatch batch;
  std::vector<float> logits;
  std::vector<std::int32_t> labels;
};

BenchCase model_case(Direction direction, bool training) {
  const bool causal = direction == Direction::causal;
  BenchCase bench;
  bench.name = training ? "training step" : "encoder";
  bench.shape = fmt::format("4 x {}, d_model 128, 4 layers, {}", kTokens / 4, causal ? "causal" : "bidirectional");
  bench.error_bound = kErrorBound;
  bench.error = [direction](Backend& backend) { return encoder_error(backend, direction); };
  bench.open = [direction, training](Backend& backend) {
    const auto work = std::make_shared<ModelWork>(backend, direction);
    BenchRun run;
    run.tokens = static_cast<double>(work->batch.tokens());
    if (training) {
      run.work = [work] {
        work->classifier.zero_gradients();
        work->classifier.train_step(work->batch, work->labels, {.scale = 0.25});
      };
    } else {
      run.work = [work] { work->classifier.predict(work->batch, work->logits); };
    }
    return run;
  };
  return bench;
}

}  // namespace

std::vector<BenchCase> bench_cases() {
  return {operation_case("linear", "256 to 1288", make_linear),
          operation_case("conv1d", "768 channels, 4 taps", make_conv1d),
          operation_case("ssd_scan", "8 heads of 64, state 128", make_ssd_scan),
          model_case(Direction::causal, false),
          model_case(Direction::bidirectional, false),
          model_case(Direction::causal, true),
          model_case(Direction::bidirectional, true)};
}

}  // namespace strandline
