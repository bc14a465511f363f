// What --help shows of a command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace loadline {

struct HelpEntry {
  std::string name, text;  // "--ranks N,N", and what it is for with its default
};
struct HelpSection {
  std::string title;  // none of the words behind a command
  std::vector<HelpEntry> entries;
  bool is_of_commands = false;
};
struct CommandHelp {
  std::string name;         // "loadline profile show"
  std::string description;  // what it is for
  std::string usage;        // "loadline profile show <name> [FLAGS]"
  std::vector<HelpSection> sections;
};
CommandHelp help_of(const CLI::App& command);
// Those that are not hidden.
std::vector<const CLI::App*> commands_below(const CLI::App& command);

// How it is typed, what it is for, and its flags under their headings, each with what its value
// looks like and its default; in lines of at most so many columns.
std::string help_text(const CLI::App& command, std::int64_t columns);

}  // namespace loadline
