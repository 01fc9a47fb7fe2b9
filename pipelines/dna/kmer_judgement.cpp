#include "pipelines/dna/kmer_judgement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <future>

#include "pipelines/dna/kmer_baseline.hpp"

namespace strandline {
namespace {

// One baseline on held-out examples of every length.
std::vector<Judgement> judge_one(const TrainingData& data, int k, const KmerJudgementOptions& options) {
  KmerOptions kmer;
  kmer.k = k;
  kmer.canonical = options.canonical;
  kmer.examples = options.examples;
  KmerBaseline baseline(kmer, std::ssize(data.classes()));
  baseline.train(data.training());
  std::vector<Judgement> judgements;
  for (const std::int64_t length : options.lengths) {
    const Predictions predictions = baseline.predict(*data.held_out(length));
    judgements.push_back(
        {fmt::format("{}-mer logistic regression", k), length, true, evaluate(predictions, options.bootstrap)});
  }
  return judgements;
}

}  // namespace

std::vector<Judgement> judge_kmer_baselines(const TrainingData& data, const KmerJudgementOptions& options) {
  boost::asio::thread_pool pool(static_cast<std::size_t>(std::max(1, options.threads)));
  std::vector<std::future<std::vector<Judgement>>> pending;
  // The largest k takes longest, so it goes first.
  std::vector<int> ks = options.ks;
  std::ranges::sort(ks, std::ranges::greater{});
  for (const int k : ks) {
    std::packaged_task<std::vector<Judgement>()> task([&data, &options, k] { return judge_one(data, k, options); });
    pending.push_back(task.get_future());
    boost::asio::post(pool, std::move(task));
  }
  pool.join();
  std::vector<std::vector<Judgement>> by_k;
  for (auto& result : pending) by_k.push_back(result.get());
  std::ranges::reverse(by_k);
  std::vector<Judgement> judgements;
  for (std::size_t length = 0; length < options.lengths.size(); ++length) {
    for (auto& of_k : by_k) judgements.push_back(std::move(of_k[length]));
  }
  return judgements;
}

}  // namespace strandline
