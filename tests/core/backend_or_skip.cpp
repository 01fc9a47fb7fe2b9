#include <gtest/gtest.h>

#include "tests/core/backends.hpp"

namespace strandline::testing {
namespace {

void skip_or_fail(const BackendCase& each, const std::string& why) {
  if (each.required) FAIL() << each.name << ": " << why;
  GTEST_SKIP() << each.name << ": " << why;
}

}  // namespace

std::unique_ptr<Backend> make_or_skip(const BackendCase& each) {
  const std::string why = each.why_not ? each.why_not() : "";
  if (why.empty()) return each.make();
  skip_or_fail(each, why);
  return nullptr;
}

}  // namespace strandline::testing
