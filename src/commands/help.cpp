#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "commands/help.h"
#include "report/text.h"

namespace loadline {
namespace {

constexpr std::size_t kIndent = 2, kTextColumn = 28;

// A name with its text beside it, or below it where the name is long.
std::string entry(const std::string& name, const std::string& text, std::int64_t columns) {
  const std::string head = std::string(kIndent, ' ') + name;
  const std::string margin(kTextColumn, ' ');
  if (text.empty()) return head + "\n";
  if (head.size() + 1 < kTextColumn) {
    return wrapped_below(fmt::format("{:<{}}{}", head, kTextColumn, text), kTextColumn, columns) +
           "\n";
  }
  return head + "\n" + wrapped_below(margin + text, kTextColumn, columns) + "\n";
}

std::string name_of(const CLI::Option& option) {
  if (option.get_positional()) {
    const std::string looks = option.get_type_name();
    return "<" + (looks == "TEXT" ? option.get_name(true) : looks) + ">" +
           (option.get_items_expected_max() > 1 ? "..." : "");
  }
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  const bool is_toggle = option.get_type_size() == 0 || option.get_items_expected_max() == 0;
  return fmt::format("{}{}{}", fmt::join(names, ", "), is_toggle ? "" : " ",
                     is_toggle ? "" : option.get_type_name());
}

std::string text_of(const CLI::Option& option) {
  const std::string given = option.get_default_str();
  const bool has_default = option.get_items_expected_max() > 0 && !given.empty();
  return option.get_description() + (has_default ? fmt::format(" [default: {}]", given) : "") +
         (option.get_required() && option.nonpositional() ? " [required]" : "");
}

std::string whole_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return (parent == nullptr ? "" : whole_name(*parent) + " ") + command.get_name();
}

std::vector<const CLI::App*> commands_below(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); });
}

}  // namespace

std::string help_text(const CLI::App& command, std::int64_t columns) {
  const auto words =
      command.get_options([](const CLI::Option* option) { return option->get_positional(); });
  const auto below = commands_below(command);
  std::string text = wrapped_below(command.get_description(), 0, columns) + "\n\n";
  text += "Usage: " + whole_name(command);
  if (!below.empty()) text += " COMMAND";
  for (const CLI::Option* word : words) text += " " + name_of(*word);
  text += " [FLAGS]\n";
  if (!words.empty()) text += "\n";
  for (const CLI::Option* word : words) {
    text += entry(name_of(*word), text_of(*word), columns);
  }
  if (!below.empty()) text += "\nCommands:\n";
  for (const CLI::App* one : below) {
    text += entry(one->get_name(), one->get_description(), columns);
  }
  for (const std::string& group : command.get_groups()) {
    const auto options = command.get_options([&](const CLI::Option* option) {
      return option->get_group() == group && option->nonpositional();
    });
    if (group.empty() || options.empty()) continue;
    text += fmt::format("\n{}:\n", group == "Options" ? "Flags" : group);
    for (const CLI::Option* option : options) {
      text += entry(name_of(*option), text_of(*option), columns);
    }
  }
  return text;
}

}  // namespace loadline
