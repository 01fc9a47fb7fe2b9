// Runs an action in a child process, for limits that cannot be lifted again and for crashes at exit.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

namespace strandline::testing {

struct ChildResult {
  int exit_status = -1;  ///< -1 when a signal ended it
  std::string message;   ///< of the exception, or empty
};

/// No file may grow beyond `limit_bytes`. The child leaves by exit(), so that destructors of libraries run too.
template <class Action>
ChildResult in_child_with_file_limit(rlim_t limit_bytes, Action&& action) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{limit_bytes, limit_bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int status = 0;
    try {
      action();
    } catch (const std::exception& error) {
      const std::string text = error.what();
      status = ::write(ends[1], text.data(), text.size()) < 0 ? 2 : 1;
    }
    std::exit(status);
  }
  ::close(ends[1]);
  ChildResult result;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    result.message.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
  return result;
}

}  // namespace strandline::testing
