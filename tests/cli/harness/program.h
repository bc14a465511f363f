// The program, run from outside as a user runs it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace loadline::testing {

struct Ended {
  int exit_code = -1;  // 128 + signal when it was killed
  std::string out;
  std::string err;
};

// A home of its own (XDG folders, HOME), so that no test sees another's profiles or cache.
class Program {
 public:
  // Runs `loadline` with the arguments, `input` on its stdin.
  [[nodiscard]] Ended run(const std::vector<std::string>& arguments,
                          const std::string& input = "") const;
  // Runs a script of /bin/sh, for which $LOADLINE is the program and $HOME its home.
  [[nodiscard]] Ended run_in_shell(const std::string& script) const;
  // Starts it, sends `signal` after the text `when` came on stdout or stderr, and waits.
  [[nodiscard]] Ended run_and_signal(const std::vector<std::string>& arguments,
                                     const std::string& when, int signal) const;

  // From here on the program's environment has `name`; without this it has no HF_ variable.
  void set_environment(const std::string& name, const std::string& value) {
    environment_[name] = value;
  }

  // Calls `look` with its process id after each piece of its output.
  [[nodiscard]] Ended run_and_look(const std::vector<std::string>& arguments,
                                   const std::function<void(pid_t)>& look) const;
  // Reads its stdout until the text `when` came there, and then closes it, as `| head` does.
  [[nodiscard]] Ended run_and_close_output(const std::vector<std::string>& arguments,
                                           const std::string& when) const;
  // Starts it and kills it (SIGKILL) when it has run for so long.
  [[nodiscard]] Ended run_and_kill(const std::vector<std::string>& arguments,
                                   std::chrono::duration<double> after) const;

  [[nodiscard]] std::filesystem::path home() const { return home_.path(); }
  // Writes a file below home() and returns its path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& content) const;

 private:
  TemporaryFolder home_;
  std::map<std::string, std::string> environment_;
};

// The repository's demo/model and demo/data.
std::string demo_model();
std::string demo_train();
std::string demo_data();

// The arguments, and then `more`.
std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more);
// A command over the demo's model and rows: the words of `line` ("train --max-steps 3"), and then
// `more`. A flag that is given again has its last value.
std::vector<std::string> on_demo(const std::string& line,
                                 const std::vector<std::string>& more = {});

}  // namespace loadline::testing
