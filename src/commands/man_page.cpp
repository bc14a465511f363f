#include "commands/man_page.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "commands/help.h"

namespace loadline {
namespace {

// As it is read: a line may not begin with what would be a request, and a dash is no hyphen.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    const bool begins_line = escaped.empty() || escaped.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string man_entry(const std::string& name, const std::string& text) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(name), text.empty() ? "\\&" : roff(text));
}

std::string man_entries(const HelpSection& section) {
  std::string text;
  for (const HelpEntry& one : section.entries) text += man_entry(one.name, one.text);
  return text;
}

// One command, and those below it.
std::string command_section(const CLI::App& command) {
  const CommandHelp help = help_of(command);
  std::string page = fmt::format(".SS {}\n{}\n.PP\n.RS 4\n\\fB{}\\fR\n.RE\n", roff(help.name),
                                 roff(help.description), roff(help.usage));
  for (const HelpSection& section : help.sections) {
    if (section.is_of_commands) continue;  // each has its own
    if (!section.title.empty()) page += fmt::format(".PP\n\\fI{}\\fR\n", roff(section.title));
    page += man_entries(section);
  }
  for (const CLI::App* below : commands_below(command)) page += command_section(*below);
  return page;
}

constexpr const char* kExitStatus = R"(.SH EXIT STATUS
.TP
.B 0
done, or fits
.TP
.B 1
the answer is no: it does not fit, nothing fits, the training diverged, or no trial's memory is known
.TP
.B 2
wrong usage or bad input
.TP
.B 3
interrupted: the same command goes on
.TP
.B 4
the environment refused
.TP
.B 70
a fault of the program
)";

}  // namespace

std::string man_page(const CLI::App& program, const std::string& version) {
  const CommandHelp help = help_of(program);
  std::string page = fmt::format(
      ".TH LOADLINE 1 \"\" \"loadline {}\" \"User Commands\"\n"
      ".SH NAME\nloadline \\- find how much LoRA training this machine carries, and train\n"
      ".SH SYNOPSIS\n\\fB{}\\fR\n.SH DESCRIPTION\n{}\n",
      roff(version), roff(help.usage), roff(help.description));
  for (const HelpSection& section : help.sections) {
    page +=
        fmt::format(".SH {}\n{}", section.is_of_commands ? "COMMANDS" : "FLAGS WITHOUT A COMMAND",
                    man_entries(section));
  }
  page += ".SH FLAGS OF THE COMMANDS\n";
  for (const CLI::App* command : commands_below(program)) page += command_section(*command);
  return page + kExitStatus;
}

}  // namespace loadline
