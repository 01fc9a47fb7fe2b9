#include "core/ops/pseudo_inverse.hpp"

#include "core/ops/check.hpp"

namespace strandline::ops {
namespace {

Shape check_matrices(const Check& check, const NamedView& a, std::int64_t iterations) {
  check.present(a, 3);
  const Shape shape = a.view.shape();
  check.activation(a, {shape[0], shape[1], shape[1]});
  check.that(a.view.is_dense(), std::string(a.name) + " is not dense");
  check.that(iterations >= 1, "iterations = " + std::to_string(iterations) + " is below 1");
  return shape;
}

void check_like(const Check& check, const NamedView& tensor, const Shape& shape) {
  check.present(tensor, 3);
  check.activation(tensor, shape);
  check.that(tensor.view.is_dense(), std::string(tensor.name) + " is not dense");
}

}  // namespace

void pseudo_inverse(Backend& backend, const PseudoInverseArgs& args) {
  const Check check("pseudo_inverse", backend);
  const Shape shape = check_matrices(check, {"a_hmm", args.a_hmm}, args.iterations);
  check_like(check, {"z_hmm", args.z_hmm}, shape);
  check.apart({"z_hmm", args.z_hmm}, {"a_hmm", args.a_hmm});
  if (shape.elements() > 0) backend.do_pseudo_inverse(args);
}

void pseudo_inverse_backward(Backend& backend, const PseudoInverseBackwardArgs& args) {
  const Check check("pseudo_inverse_backward", backend);
  const Shape shape = check_matrices(check, {"a_hmm", args.a_hmm}, args.iterations);
  check_like(check, {"dz_hmm", args.dz_hmm}, shape);
  check_like(check, {"da_hmm", args.da_hmm}, shape);
  check.outputs_apart({"da_hmm", args.da_hmm}, {{"a_hmm", args.a_hmm}, {"dz_hmm", args.dz_hmm}});
  if (shape.elements() > 0) backend.do_pseudo_inverse_backward(args);
}

}  // namespace strandline::ops
