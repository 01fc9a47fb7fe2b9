#include "io/bytes/local_path.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "core/base/error.hpp"

namespace strandline {

void require_local_path(const std::string& path) {
  const auto colon = path.find(':');
  if (colon == std::string::npos || colon == 0) return;
  const bool scheme = std::all_of(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(colon),
                                  [](unsigned char c) { return std::isalnum(c) || c == '+' || c == '.' || c == '-'; });
  if (!scheme) return;
  throw IoError(path,
                "use a network address: only local files are opened (fetch it first, or write ./name for a file "
                "with a colon in its name)",
                EPROTONOSUPPORT);
}

}  // namespace strandline
