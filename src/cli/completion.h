// Completion of commands, flags and their words by the shell, as a script of its language.
#pragma once

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace loadline {

// `shell` is bash, zsh or fish; throws Error(kUsage) for another. `program` has all its commands;
// hidden ones are left out.
std::string completion_script(const CLI::App& program, const std::string& shell);

}  // namespace loadline
