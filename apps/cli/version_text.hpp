// What `strandline --version` says.
#pragma once

#include <string>

namespace strandline {

/// First line: the bare version. Then one line for each library built in and for the instruction set in use.
std::string version_text();

}  // namespace strandline
