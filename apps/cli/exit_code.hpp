// From a failure to a message and an exit code. The table is in docs/style.md.
#pragma once

#include <exception>

namespace strandline {

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitData = 65;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitContract = 70;  ///< also everything that nobody foresaw: a bug of ours
inline constexpr int kExitMemory = 71;
inline constexpr int kExitNumeric = 73;
inline constexpr int kExitIo = 74;
inline constexpr int kExitInterrupted = 75;
inline constexpr int kExitDevice = 76;

int exit_code_of(const std::exception& error);

/// Says what went wrong on standard error and returns the exit code. A closed standard output is no failure: whoever
/// read it (`| head`) has seen enough, so that this ends quietly with kExitSuccess.
int report(const std::exception& error);

}  // namespace strandline
