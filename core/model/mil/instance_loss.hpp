// CLAM's second loss: the patches of most attention should look like the bag's class, those of least should not.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Places of the k largest and k smallest scores, largest and smallest first; of equal scores the first in the bag
/// comes first. k is clamped to the number of scores, so that in a bag of fewer than 2 k patches some are in both.
struct ExtremePatches {
  std::vector<std::int32_t> largest;
  std::vector<std::int32_t> smallest;
};
ExtremePatches extreme_patches(std::span<const double> scores, std::int64_t k);

struct InstanceLossArgs {
  ConstView h_nd;
  ConstView score_n1;
  std::int32_t label = 0;
  double scale = 1.0;  ///< of the gradients, not of the loss that is returned
  View dh_nd;          ///< added to
};

/// With the linear map of class `label` to two scores z, target 1 for the patches of most attention and 0 for those of
/// least, the mean over them of the smoothed top-1 hinge with margin and temperature 1:
///
///     loss = log sum_j exp(z[j] + [j != target]) - z[target]
///
/// Adds to the gradients of that map. The choice of patches has no gradient.
/// Source: Lu et al. 2021 (arXiv 2004.09666); Berrada, Zisserman, Kumar 2018 (arXiv 1802.07595), equation 9, k = 1.
double instance_loss(const MilContext& context, const InstanceLossArgs& args, const Weights& gradients);

}  // namespace strandline
