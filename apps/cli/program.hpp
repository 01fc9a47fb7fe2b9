// What main gives to every subcommand.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

namespace strandline {

struct Program {
  std::stop_token stop;                   ///< set by SIGTERM and SIGINT
  std::vector<std::string> command_line;  ///< as typed, for manifests and @PG lines
};

}  // namespace strandline
