#include "apps/cli/version_text.hpp"

#include "core/base/version.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "cuda/cuda_backend.hpp"
#include "io/bytes/library_versions.hpp"

namespace strandline {

std::string version_text() {
  const std::string cuda = cuda_build_version();
  std::string text = kVersion;
  for (const auto& [library, version] : library_versions()) text += "\n" + library + " " + version;
  text += "\nCUDA " + (cuda.empty() ? "not built in" : cuda);
  text += "\nCPU instructions " + std::string(name_of(best_cpu_isa()));
  return text;
}

}  // namespace strandline
