// --device and -t, the same for every subcommand that computes.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "core/backend.hpp"

namespace strandline {

struct DeviceOptions {
  std::string device = "auto";
  int threads = 0;  ///< 0: as many as this process may use
};

/// Adds --device and -t/--threads to `command`.
void add_device_options(CLI::App& command, DeviceOptions& options);

/// "auto" takes a GPU when there is one and falls back to the CPU. @throws UnavailableError when a named device is
/// missing.
std::unique_ptr<Backend> make_backend(const DeviceOptions& options);

/// The number that 0 stands for.
int resolved_threads(const DeviceOptions& options);

}  // namespace strandline
