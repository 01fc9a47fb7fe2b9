#include "cuda/ops/adamw_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

double sum_of_squares(Context&, ConstView) { throw UnavailableError("sum_of_squares"); }
void adamw(Context&, const ops::AdamwArgs&) { throw UnavailableError("adamw: not on the GPU yet"); }

}  // namespace strandline::cuda
