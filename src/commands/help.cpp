#include "commands/help.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

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

HelpSection words_section(const CLI::App& command) {
  HelpSection section;
  for (const CLI::Option* word :
       command.get_options([](const CLI::Option* option) { return option->get_positional(); })) {
    section.entries.push_back({name_of(*word), text_of(*word)});
  }
  return section;
}

HelpSection flags_section(const CLI::App& command, const std::string& group) {
  HelpSection section{.title = group == "Options" ? "Flags" : group, .entries = {}};
  if (group.empty()) return section;
  for (const CLI::Option* option : command.get_options([&](const CLI::Option* one) {
         return one->get_group() == group && one->nonpositional();
       })) {
    section.entries.push_back({name_of(*option), text_of(*option)});
  }
  return section;
}

}  // namespace

std::vector<const CLI::App*> commands_below(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); });
}

CommandHelp help_of(const CLI::App& command) {
  CommandHelp help{.name = whole_name(command),
                   .description = command.get_description(),
                   .usage = whole_name(command),
                   .sections = {}};
  const auto add = [&](HelpSection section) {
    if (!section.entries.empty()) help.sections.push_back(std::move(section));
  };
  HelpSection commands{.title = "Commands", .entries = {}, .is_of_commands = true};
  for (const CLI::App* one : commands_below(command)) {
    commands.entries.push_back({one->get_name(), one->get_description()});
  }
  if (!commands.entries.empty()) help.usage += " COMMAND";
  for (const HelpEntry& word : words_section(command).entries) help.usage += " " + word.name;
  help.usage += " [FLAGS]";
  add(words_section(command));
  add(std::move(commands));
  for (const std::string& group : command.get_groups()) add(flags_section(command, group));
  return help;
}

std::string help_text(const CLI::App& command, std::int64_t columns) {
  const CommandHelp help = help_of(command);
  std::string text =
      wrapped_below(help.description, 0, columns) + "\n\nUsage: " + help.usage + "\n";
  for (const HelpSection& section : help.sections) {
    text += section.title.empty() ? "\n" : "\n" + section.title + ":\n";
    for (const HelpEntry& one : section.entries) text += entry(one.name, one.text, columns);
  }
  return text;
}

}  // namespace loadline
