// -c FILE.toml: flags from a file. Keys are the long flags' names, `-` or `_` alike:
//   batch-size = 4
//   target_modules = ["q_proj", "v_proj"]
//   mask-prompt = true
//   [find]                      # for `loadline find` alone
//   ranks = "8,16"
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace loadline {

struct KnownFlags {
  // "--lora-layers" for "--num-layers", which is another name of it; empty where the command that
  // was typed has no such flag.
  std::function<std::string(const std::string& flag)> first_name;
  // Of the command of that name, or of one below it; of any where the name is empty.
  std::function<bool(const std::string& flag, const std::string& command)> is_of_command;
  std::function<bool(const std::string& word)> is_command;
  // How many of the words lead to the command that was typed: 2 of `profile list --json`.
  std::function<std::size_t(const std::vector<std::string>& words)> command_words;
};

// A flag that a file has said and nobody typed.
struct FlagOrigin {
  std::string name;   // its first one
  std::string place;  // "flags.toml:2"
  bool is_shared;     // stands above all sections
};

// The arguments without `-c FILE`. Throws Error(kUsage) for one without its file, and for a second.
std::vector<std::string> without_config_file(const std::vector<std::string>& arguments);

// Replaces `-c FILE` (or --config FILE) behind the command's name by the file's flags, before the
// flags that were typed, so that what was typed wins, over a flag that contradicts it too
// (--max-steps over the file's epochs). A section is for the command of its name, and wins over
// what stands above all sections, where flags of other commands are passed over, as are those of
// other subcommands in a section. Throws
// Error(kBadInput) naming file, line and key for what no command knows, in its section for what the
// command does not know, for a flag that stands there twice, in two spellings or under two names,
// and for what is no value of a flag; Error(kUsage) for a second file. `origins` is told where in
// the file its flags stand.
std::vector<std::string> expand_config_file(const std::vector<std::string>& arguments,
                                            const KnownFlags& known,
                                            std::vector<FlagOrigin>* origins = nullptr);

}  // namespace loadline
