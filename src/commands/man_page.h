// The manual page, loadline(1).
#pragma once

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace loadline {

// In man(7)'s macros, of all commands of `program` that --help shows, with their words and flags.
std::string man_page(const CLI::App& program, const std::string& version);

}  // namespace loadline
