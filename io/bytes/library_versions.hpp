// Which versions of the libraries behind io are in use.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace strandline {

/// Name and version at run time: {"HTSlib", "1.16"}, {"HDF5", "1.10.8"}, {"zlib", "1.2.13"}.
std::vector<std::pair<std::string, std::string>> library_versions();

}  // namespace strandline
