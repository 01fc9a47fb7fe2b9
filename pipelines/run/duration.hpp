// Times as people read them.
#pragma once

#include <string>

namespace strandline {

/// "42 s", "3 min 05 s", "2 h 07 min". Negative and non-finite values give "unknown".
std::string format_duration(double seconds);

}  // namespace strandline
