// What was typed wrong, in words that name it and the way out. CLI11's own know neither which of
// several words is the wrong one nor what was meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace loadline {

// Before parsing. Throws Error(kUsage) for words that are not UTF-8, as names and texts go into
// JSON, for `--flag=` without a value, which would be the next word, and for a flag that is given
// twice.
void refuse_mistyped(const CLI::App& app, std::span<const std::string> arguments);

// How many of the arguments lead to the command that is typed: 2 of `profile list --json`.
[[nodiscard]] std::size_t command_words(const CLI::App& app,
                                        std::span<const std::string> arguments);

// That command; the program itself where none is typed.
[[nodiscard]] const CLI::App& command_typed(const CLI::App& app,
                                            std::span<const std::string> arguments);

// Why the arguments did not parse, in one line or several.
[[nodiscard]] std::string mistyped(const CLI::App& app, std::span<const std::string> arguments,
                                   const CLI::ParseError& error);

// The one of `known` that takes the fewest letters typed too many, too few, wrong or in each
// other's place; empty where that is more than a third of the word's.
[[nodiscard]] std::string nearest(const std::string& word, std::span<const std::string> known);

}  // namespace loadline
