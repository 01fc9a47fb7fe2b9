// A classifier's word on every example of a finite source.
#pragma once

#include <cstdint>
#include <stop_token>

#include "core/model/classifier.hpp"
#include "pipelines/run/example_source.hpp"
#include "pipelines/run/metrics.hpp"

namespace strandline {

/// Examples go through in batches of at most `batch_tokens` tokens (a longer example alone), which changes no result.
/// @throws InterruptedError when stopped in between.
Predictions predict_examples(Classifier& classifier, const ExampleSource& examples, std::int64_t batch_tokens,
                             std::stop_token stop = {});

}  // namespace strandline
