// K-mer baselines beside a model: trained on its training examples, judged on its held-out examples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/run/judgement.hpp"
#include "pipelines/run/training_data.hpp"

namespace strandline {

struct KmerJudgementOptions {
  std::vector<int> ks{3, 4, 5, 6};
  std::int64_t examples = 20000;      ///< training examples [0, examples): at most as many as the model saw
  bool canonical = true;              ///< strands are not told apart
  std::vector<std::int64_t> lengths;  ///< of held-out examples, as TrainingData::held_out takes them
  BootstrapOptions bootstrap;
  int threads = 1;  ///< baselines at work at once; changes no result
};

/// For each length, one judgement per k.
std::vector<Judgement> judge_kmer_baselines(const TrainingData& data, const KmerJudgementOptions& options);

}  // namespace strandline
