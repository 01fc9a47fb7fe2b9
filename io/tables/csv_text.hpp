// Fields of comma-separated tables, for outputs that other programs want so.
#pragma once

#include <string>
#include <string_view>

namespace strandline {

/// RFC 4180: in double quotes, doubled inside, when it holds a comma, a quote or a line end; else as it is.
std::string csv_field(std::string_view text);

}  // namespace strandline
