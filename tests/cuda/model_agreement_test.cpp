// Whole models on the GPU against the reference in double: at most twice the error of the same model in the same
// precision on the host, where the plain loops and the blocked code of the CPU, whose scan is chunked, are two ways to
// round.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/model/classifier.hpp"
#include "core/model/mil/mil_model.hpp"
#include "core/tensor/host_copy.hpp"
#include "tests/core/backends.hpp"
#include "tests/core/model_fixture.hpp"
#include "tests/ops/backend_suite.hpp"
#include "tests/ops/bf16_backend.hpp"

namespace strandline {
namespace {

using test::HostTensor;
using testing::BackendCase;

EncoderConfig medium_encoder() {
  return {.vocab_size = 16, .d_model = 40, .layers = 2, .d_state = 24, .headdim = 16, .groups = 1, .chunk = 16};
}

std::vector<EncoderConfig> encoders() {
  std::vector<EncoderConfig> all(4, medium_encoder());
  all[1].direction = all[2].direction = all[3].direction = Direction::bidirectional;
  all[2].tied_projections = false;
  all[3].combine = Combine::concat;
  return all;
}

class ModelAgreement : public ::testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override {
    backend_ = testing::make_or_skip(GetParam());
    if (!backend_) return;
    loops_ = test::yardstick_of(*backend_);
    blocked_ = make_cpu_backend({.threads = 1});
    if (backend_->dtype() == DType::bf16) blocked_ = test::make_bf16_storage_backend(std::move(blocked_));
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Backend> loops_;
  std::unique_ptr<Backend> blocked_;
  const std::vector<std::int64_t> lengths_{1, 16, 0, 53, 15, 17, 70, 0};
  const PackedBatch pack_ = testing::random_pack(lengths_, 16, 21);
};

double distance(const HostTensor& a, const HostTensor& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.values.size(); ++i) sum += (a.values[i] - b.values[i]) * (a.values[i] - b.values[i]);
  return std::sqrt(sum);
}

const HostTensor& farther(const HostTensor& a, const HostTensor& b, const HostTensor& from) {
  return distance(a, from) >= distance(b, from) ? a : b;
}

HostTensor hidden_on(Backend& backend, const EncoderConfig& config, const PackedBatch& pack) {
  Weights weights(WeightLayout(config), backend);
  testing::scramble(config, 11, weights);
  Encoder encoder(config, backend, weights);
  const std::vector<float> values = testing::hidden_of(encoder, pack);
  return test::tensor_of({pack.tokens(), config.d_model}, {values.begin(), values.end()});
}

TEST_P(ModelAgreement, HiddenStatesKeepTheBound) {
  for (const EncoderConfig& config : encoders()) {
    const HostTensor want = hidden_on(test::reference(), config, pack_);
    const HostTensor loops = hidden_on(*loops_, config, pack_);
    const HostTensor blocked = hidden_on(*blocked_, config, pack_);
    const HostTensor got = hidden_on(*backend_, config, pack_);
    EXPECT_EQ(test::first_gap({"hidden", got, DType::f32}, want, farther(loops, blocked, want)), "");
  }
}

using Tensors = std::vector<HostTensor>;

Tensors gradients_on(Backend& backend, const EncoderConfig& encoder, const PackedBatch& pack) {
  Classifier classifier({.encoder = encoder, .classes = 3, .pooling = Pooling::attention}, backend);
  testing::scramble(encoder, 6, classifier.weights());
  std::vector<std::int32_t> labels;
  for (std::int64_t s = 0; s < pack.sequences(); ++s) labels.push_back(static_cast<std::int32_t>(s % 3));
  classifier.train_step(pack, labels, {.scale = 1.0 / static_cast<double>(labels.size())});
  Tensors gradients;
  for (const WeightSpec& spec : classifier.weights().layout().specs()) {
    const std::vector<float> values = classifier.gradients().get(spec.name);
    gradients.push_back(test::tensor_of({static_cast<std::int64_t>(values.size())}, {values.begin(), values.end()}));
  }
  return gradients;
}

/// Twice the error on the host, as the root mean square over the tensors, each relative to its size: tensors of
/// a few numbers have errors of any size by chance, the mean over all of them is comparable. Left out are those that
/// the plain loops cannot tell from zero: sums that cancel.
void expect_gradients_in_bound(const Tensors& got, const Tensors& want, const std::array<Tensors, 2>& host) {
  double error = 0.0;
  double yardstick = 0.0;
  std::string each;
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double size = std::sqrt(test::inner_product(want[i], want[i]));
    const double own = distance(got[i], want[i]);
    const double of_host = std::max(distance(host[0][i], want[i]), distance(host[1][i], want[i]));
    if (2.0 * of_host >= size) continue;
    error += own * own / (size * size);
    yardstick += of_host * of_host / (size * size);
    each += "  " + std::to_string(i) + ": " + std::to_string(own / of_host);
  }
  EXPECT_LE(std::sqrt(error), 2.0 * std::sqrt(yardstick))
      << "errors, tensor by tensor, as a multiple of the host's:" << each;
}

TEST_P(ModelAgreement, GradientsKeepTheBound) {
  for (const EncoderConfig& config : encoders()) {
    expect_gradients_in_bound(gradients_on(*backend_, config, pack_), gradients_on(test::reference(), config, pack_),
                              {gradients_on(*loops_, config, pack_), gradients_on(*blocked_, config, pack_)});
  }
}

struct BagResults {
  HostTensor logits;
  Tensors gradients;
};

BagResults bags_on(Backend& backend, const MilConfig& config) {
  MilModel model(config, backend);
  model.initialise(5);
  const std::vector<std::int64_t> sizes{1, 2, 5, 9, 17, 33, 70, 8, 12, 40, 25, 64};
  BagResults results{test::zeros({static_cast<std::int64_t>(sizes.size()), 3}), {}};
  for (std::size_t bag = 0; bag < sizes.size(); ++bag) {
    std::vector<float> features(static_cast<std::size_t>(sizes[bag] * 10));
    RandomStream random(77, bag);
    for (float& value : features) value = static_cast<float>(random.normal());
    std::vector<float> logits(3);
    model.predict({features, sizes[bag]}, {.logits = logits});
    std::copy(logits.begin(), logits.end(), results.logits.values.begin() + static_cast<std::ptrdiff_t>(bag * 3));
    model.train_step({features, sizes[bag]}, {.label = static_cast<std::int32_t>(bag % 3)});
  }
  for (const WeightSpec& spec : model.weights().layout().specs()) {
    const std::vector<float> values = model.gradients().get(spec.name);
    results.gradients.push_back(
        test::tensor_of({static_cast<std::int64_t>(values.size())}, {values.begin(), values.end()}));
  }
  return results;
}

TEST_P(ModelAgreement, AggregatorsKeepTheBound) {
  // max chooses a patch per channel, clam_sb patches for its loss: near a tie, rounding chooses another.
  for (const MilKind kind :
       {MilKind::mean, MilKind::abmil, MilKind::trans_mil, MilKind::mamba2_mil, MilKind::bi_mamba}) {
    SCOPED_TRACE(name_of(kind));
    const MilConfig config = testing::tiny_mil(kind);
    const BagResults want = bags_on(test::reference(), config);
    const BagResults loops = bags_on(*loops_, config);
    const BagResults blocked = bags_on(*blocked_, config);
    const BagResults got = bags_on(*backend_, config);
    EXPECT_EQ(test::first_gap({"logits", got.logits, DType::f32}, want.logits,
                              farther(loops.logits, blocked.logits, want.logits)),
              "");
    expect_gradients_in_bound(got.gradients, want.gradients, {loops.gradients, blocked.gradients});
  }
}

TEST_P(ModelAgreement, AggregatorsOfEveryKindGiveTheSameBitsTwice) {
  for (const MilKind kind : {MilKind::mean, MilKind::max, MilKind::abmil, MilKind::clam_sb, MilKind::trans_mil,
                             MilKind::mamba2_mil, MilKind::bi_mamba}) {
    SCOPED_TRACE(name_of(kind));
    const BagResults first = bags_on(*backend_, testing::tiny_mil(kind));
    const BagResults again = bags_on(*backend_, testing::tiny_mil(kind));
    EXPECT_EQ(test::first_difference(again.logits, first.logits), "");
    for (std::size_t i = 0; i < first.gradients.size(); ++i) {
      EXPECT_EQ(test::first_difference(again.gradients[i], first.gradients[i]), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(On, ModelAgreement, ::testing::ValuesIn(testing::backend_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace strandline
