// --device, --precision, --memory and -t, the same for every subcommand that computes.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "core/backend.hpp"

namespace strandline {

struct DeviceOptions {
  std::string device = "auto";
  DType precision = DType::f32;     ///< of activations: f32 or bf16
  std::int64_t memory_bytes = 0;    ///< what the run may take, of the card or of the host; 0: what is free
  std::int64_t segment_tokens = 0;  ///< 0: chosen from the memory
  int threads = 0;                  ///< 0: as many as this process may use
};

/// Adds --device, --precision, --memory and -t/--threads to `command`.
void add_device_options(CLI::App& command, DeviceOptions& options);

/// Adds --segment, for commands that run an encoder.
void add_segment_option(CLI::App& command, DeviceOptions& options);

/// "auto" takes a GPU when there is one, and the CPU when there is none or its driver is missing or too old.
/// @throws UnavailableError when a named device is missing, or bf16 has no GPU; CLI::ValidationError for bf16 on the
/// CPU; DeviceError when there is a GPU that does not work.
std::unique_ptr<Backend> make_backend(const DeviceOptions& options);

/// "cpu, avx2, 8 threads", "cuda:0, NVIDIA H200, bf16"
std::string describe_backend(const Backend& backend, const DeviceOptions& options);

/// The number that 0 stands for.
int resolved_threads(const DeviceOptions& options);

}  // namespace strandline
