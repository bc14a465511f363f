// What --help shows of a command.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace loadline {

// How it is typed, what it is for, and its flags under their headings, each with what its value
// looks like and its default; in lines of at most so many columns.
std::string help_text(const CLI::App& command, std::int64_t columns);

}  // namespace loadline
