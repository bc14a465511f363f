// Broken promises: of the caller, of a file, of the environment. What is expected to happen in
// normal work (a trial that does not fit) is a value, never an Error.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace loadline {

// The values are the program's exit codes (README.md).
enum class ErrorKind {
  kDoesNotFit = 1,   // memory, by the plan or by measurement
  kUsage = 2,        // a flag or a combination of flags
  kBadInput = 20,    // a file: its name and place are in the message; exits with 2
  kInterrupted = 3,  // resumable
  kEnvironment = 4,  // crowded host, no permission, disk full
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] int exit_code() const {
    return kind_ == ErrorKind::kBadInput ? 2 : static_cast<int>(kind_);
  }

 private:
  ErrorKind kind_;
};

// throw bad_input("{}: tensor '{}' ends at {} but the file has {} bytes. Is the download
// complete?", ...)
template <typename... Args>
Error bad_input(fmt::format_string<Args...> text, Args&&... args) {
  return {ErrorKind::kBadInput, fmt::format(text, std::forward<Args>(args)...)};
}
template <typename... Args>
Error usage_error(fmt::format_string<Args...> text, Args&&... args) {
  return {ErrorKind::kUsage, fmt::format(text, std::forward<Args>(args)...)};
}
template <typename... Args>
Error environment_error(fmt::format_string<Args...> text, Args&&... args) {
  return {ErrorKind::kEnvironment, fmt::format(text, std::forward<Args>(args)...)};
}

// Why the last system call failed.
inline std::string system_reason() { return std::generic_category().message(errno); }

}  // namespace loadline
