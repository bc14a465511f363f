#include "cli/mistyped.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/error.h"
#include "text/unicode.h"

namespace loadline {
namespace {

// Damerau-Levenshtein, of neighbours that changed places once (optimal string alignment).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

bool is_flag(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The command that was reached: `loadline`, `loadline profile`, `loadline profile show`.
struct Reached {
  const CLI::App* app;
  std::string name;
  std::size_t words;  // of the arguments, that led there
};
Reached reached(const CLI::App& app, std::span<const std::string> arguments) {
  Reached at{.app = &app, .name = app.get_name(), .words = 0};
  for (; at.words < arguments.size(); ++at.words) {
    const std::string& word = arguments[at.words];
    const auto below = at.app->get_subcommands(
        [&](const CLI::App* command) { return command->get_name() == word; });
    if (below.empty()) break;
    at.app = below.front();
    at.name += " " + word;
  }
  return at;
}

std::string meant(const std::string& word, std::span<const std::string> known) {
  const std::string near = nearest(word, known);
  return near.empty() ? "" : fmt::format(" Did you mean {}?", near);
}

// A word that stands where a command should.
std::string no_command(const Reached& at, const std::string& word) {
  const std::vector<std::string> known = commands_of(*at.app);
  return fmt::format("{} has no command {}.{} Its commands: {}.", at.name, word, meant(word, known),
                     fmt::join(known, ", "));
}

std::string no_flag(const Reached& at, const std::string& flag) {
  return fmt::format("{} has no flag {}.{}", at.name, flag, meant(flag, flags_of(*at.app)));
}

// The first word that nothing took. CLI11 lists such words from the last one to the first.
std::string unexpected(const Reached& at, std::span<const std::string> arguments,
                       const std::string& what) {
  const auto typed = arguments.subspan(at.words);
  const auto found = std::find_if(typed.begin(), typed.end(), [&](const std::string& word) {
    return what.ends_with(" " + word);
  });
  if (found == typed.end()) return what;
  if (!is_flag(*found)) {
    return fmt::format("{} was not expected: it belongs to no flag of {}.", *found, at.name);
  }
  const std::string flag = found->substr(0, found->find('='));
  if (at.app->get_option_no_throw(flag) != nullptr) return fmt::format("{} has no value.", flag);
  return no_flag(at, flag);
}

// Of a flag that is typed again the last value counts, so that a script's flags can be overridden.
// Under two names it is a mistake.
void refuse_two_names(const CLI::App& app, std::span<const std::string> arguments) {
  std::map<const CLI::Option*, std::string> seen;
  for (const std::string& word : arguments) {
    if (!word.starts_with("--")) continue;
    const std::string flag = word.substr(0, word.find('='));
    const CLI::Option* option = app.get_option_no_throw(flag);
    if (option == nullptr || option->get_items_expected_max() == 0) continue;
    const std::string& first = seen.emplace(option, flag).first->second;
    if (first == flag) continue;
    throw usage_error("{} and {} are two names of one flag: leave one out", first, flag);
  }
}

}  // namespace

void refuse_mistyped(const CLI::App& app, std::span<const std::string> arguments) {
  for (const std::string& word : arguments) {
    std::string shown;
    if (!is_valid_utf8(word)) {
      throw usage_error("{}: names and texts must be UTF-8, and this is not. Rename the file",
                        valid_utf8(word, shown));
    }
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      throw usage_error("{} has no value behind its =", word);
    }
  }
  refuse_two_names(*reached(app, arguments).app, arguments);
}

std::size_t command_words(const CLI::App& app, std::span<const std::string> arguments) {
  return reached(app, arguments).words;
}

const CLI::App& command_typed(const CLI::App& app, std::span<const std::string> arguments) {
  return *reached(app, arguments).app;
}

std::string nearest(const std::string& word, std::span<const std::string> known) {
  std::string best;
  std::size_t fewest = word.size() / 3 + 1;
  for (const std::string& name : known) {
    const std::size_t letters = distance(word, name);
    if (letters < fewest) {
      best = name;
      fewest = letters;
    }
  }
  return best;
}

std::string mistyped(const CLI::App& app, std::span<const std::string> arguments,
                     const CLI::ParseError& error) {
  const Reached at = reached(app, arguments);
  const std::string way_out = fmt::format("\nRun {} --help for the flags.", at.name);
  if (!commands_of(*at.app).empty()) {
    if (at.words == arguments.size()) {
      return fmt::format("a subcommand is required.\n\n{}",
                         at.app->help(at.app == &app ? "" : app.get_name()));
    }
    const std::string& word = arguments[at.words];
    return is_flag(word) ? no_flag(at, word) + way_out : no_command(at, word);
  }
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError))
    return error.what() + way_out;
  return unexpected(at, arguments, error.what()) + way_out;
}

}  // namespace loadline
