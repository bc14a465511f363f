// loadline completion: a script by which the shell completes commands, flags and their words.
#include <fmt/core.h>

#include <memory>
#include <string>

#include "commands/command.h"

namespace loadline {

CommandFunction add_completion(Flags flags) {
  const auto shell = std::make_shared<std::string>();
  flags.word("shell bash|zsh|fish", *shell, "Of which shell");
  return [flags, shell] {
    fmt::print("{}", flags.completion(*shell));
    return 0;
  };
}

}  // namespace loadline
