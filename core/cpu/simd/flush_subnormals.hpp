// Subnormal numbers as zero, for the lifetime of a scope and this thread.
#pragma once

#include <cstdint>

namespace strandline::cpu {

/// Decays run through e^-87 .. e^-104 on their way to zero, and x86 takes some 150 cycles for a product with a
/// subnormal number: the scan ran at a fifth of its speed (docs/kernels/ssd_scan.md). Nothing where the processor is
/// another.
class FlushSubnormals {
 public:
#if defined(__x86_64__)
  FlushSubnormals() : saved_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(saved_ | kInputsAndResults); }
  ~FlushSubnormals() { __builtin_ia32_ldmxcsr(saved_); }
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr std::uint32_t kInputsAndResults = 0x8040U;
  std::uint32_t saved_;
#endif
};

}  // namespace strandline::cpu
