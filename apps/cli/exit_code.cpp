#include "apps/cli/exit_code.hpp"

#include <cerrno>
#include <cstdio>
#include <new>

#include "core/base/error.hpp"

namespace strandline {
namespace {

template <class Kind>
bool is(const std::exception& error) {
  return dynamic_cast<const Kind*>(&error) != nullptr;
}

bool is_closed_pipe(const std::exception& error) {
  const auto* io_error = dynamic_cast<const IoError*>(&error);
  return io_error != nullptr && io_error->error_number() == EPIPE;
}

}  // namespace

int exit_code_of(const std::exception& error) {
  if (is_closed_pipe(error)) return kExitSuccess;
  if (is<DataError>(error)) return kExitData;
  if (is<UnavailableError>(error)) return kExitUnavailable;
  if (is<MemoryError>(error) || is<std::bad_alloc>(error)) return kExitMemory;
  if (is<NumericError>(error)) return kExitNumeric;
  if (is<IoError>(error)) return kExitIo;
  if (is<InterruptedError>(error)) return kExitInterrupted;
  if (is<DeviceError>(error)) return kExitDevice;
  return kExitContract;
}

int report(const std::exception& error) {
  const int code = exit_code_of(error);
  if (is_closed_pipe(error)) return code;
  if (is<std::bad_alloc>(error)) {
    std::fputs("strandline: error: out of memory. Use a smaller --batch-tokens or --window\n", stderr);
  } else if (is<Error>(error)) {
    std::fprintf(stderr, "strandline: error: %s\n", error.what());
  } else {
    std::fprintf(stderr, "strandline: error: %s (a bug in strandline: please report it)\n", error.what());
  }
  return code;
}

}  // namespace strandline
