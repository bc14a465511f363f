#include "cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/shell_quoted.h"

namespace loadline {
namespace {

struct Flag {
  std::vector<std::string> names;  // "--lora-layers", "--num-layers"
  std::string text;
  bool has_value = false;
  std::string looks;               // of the value
  std::vector<std::string> words;  // all that its value may be; empty where that is open
};

struct Command {
  std::string name, text;
  std::vector<Flag> flags;
  std::vector<std::string> words;  // one of which may stand behind it
  std::vector<Command> below;
};

// "none|nf4" is all that there is; what stands in capitals stands for something else.
std::vector<std::string> words_in(const std::string& looks) {
  const bool is_open = std::any_of(looks.begin(), looks.end(), [](char c) {
    return c != '|' && (c < 'a' || c > 'z') && (c < '0' || c > '9');
  });
  if (is_open || looks.find('|') == std::string::npos) return {};
  return CLI::detail::split(looks, '|');
}

Command command_of(const CLI::App& app) {
  Command command{
      .name = app.get_name(), .text = app.get_description(), .flags = {}, .words = {}, .below = {}};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional()) {
      command.words = words_in(option->get_type_name());
      continue;
    }
    Flag flag{.names = {}, .text = option->get_description(), .looks = {}, .words = {}};
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    flag.has_value = option->get_items_expected_max() > 0;
    if (flag.has_value) flag.looks = option->get_type_name();
    flag.words = words_in(flag.looks);
    command.flags.push_back(std::move(flag));
  }
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!one->get_group().empty()) command.below.push_back(command_of(*one));
  }
  return command;
}

std::string all_names(const Command& command) {
  std::vector<std::string> names = command.words;
  for (const Command& one : command.below) names.push_back(one.name);
  for (const Flag& flag : command.flags) {
    names.insert(names.end(), flag.names.begin(), flag.names.end());
  }
  return fmt::format("{}", fmt::join(names, " "));
}

// `Visit` is called with each command and the words that lead to it: "profile show".
template <typename Visit>
void for_each(const Command& command, const std::string& path, const Visit& visit) {
  visit(command, path);
  for (const Command& one : command.below) {
    for_each(one, path.empty() ? one.name : path + " " + one.name, visit);
  }
}

std::string bash(const Command& program) {
  std::string with_commands;
  for (const Command& command : program.below) {
    if (!command.below.empty()) with_commands += (with_commands.empty() ? "" : "|") + command.name;
  }
  std::string script = fmt::format(
      R"script(# In ~/.bashrc: eval "$(loadline completion bash)"
_loadline() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= words=
  (( COMP_CWORD > 1 )) && command=${{COMP_WORDS[1]}}
  case $command in {}) (( COMP_CWORD > 2 )) && command+=" ${{COMP_WORDS[2]}}" ;; esac
  case "$command $before" in
)script",
      with_commands);
  for_each(program, "", [&](const Command& command, const std::string& path) {
    std::vector<std::string> open;
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.names) {
        const std::string both = shell_quoted(path + " " + name);
        if (flag.words.empty()) {
          if (flag.has_value) open.push_back(both);
          continue;
        }
        script += fmt::format("    {}) words='{}' ;;\n", both, fmt::join(flag.words, " "));
      }
    }
    if (!open.empty()) script += fmt::format("    {}) return ;;\n", fmt::join(open, "|"));
  });
  script += "    *) case $command in\n";
  for_each(program, "", [&](const Command& command, const std::string& path) {
    script += fmt::format("      '{}') words='{}' ;;\n", path, all_names(command));
  });
  return script + R"script(    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _loadline loadline
)script";
}

// Within single quotes; what _arguments and _describe would take as their own is escaped.
std::string for_zsh(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
      continue;
    }
    if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string described(const std::vector<Command>& commands) {
  std::string list;
  for (const Command& one : commands) {
    list += fmt::format("'{}:{}' ", one.name, for_zsh(one.text));
  }
  return list;
}

std::string zsh(const Command& program) {
  std::string script = R"script(#compdef loadline
# As _loadline in a folder of $fpath, or in ~/.zshrc: eval "$(loadline completion zsh)"
_loadline() {
  local -a commands
  local command=
  (( CURRENT > 2 )) && command=$words[2]
)script";
  for (const Command& command : program.below) {
    if (command.below.empty()) continue;
    script += fmt::format(
        "  [[ $command == {} ]] && (( CURRENT > 3 )) && command+=\" $words[3]\"\n", command.name);
  }
  script += "  case $command in\n";
  for_each(program, "", [&](const Command& command, const std::string& path) {
    script += fmt::format("    '{}')\n", path);
    if (!command.below.empty()) {
      script += fmt::format("      commands=({})\n      _describe command commands ;;\n",
                            described(command.below));
      return;
    }
    script += "      _arguments";
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.names) {
        script += fmt::format(" \\\n        '{}{}[{}]", name, flag.has_value ? "=" : "",
                              for_zsh(flag.text));
        if (flag.has_value) {
          script += fmt::format(
              ":{}:{}", for_zsh(flag.looks),
              flag.words.empty() ? "_files" : fmt::format("({})", fmt::join(flag.words, " ")));
        }
        script += "'";
      }
    }
    script += command.words.empty()
                  ? " \\\n        '*:file:_files' ;;\n"
                  : fmt::format(" \\\n        '*:word:({})' ;;\n", fmt::join(command.words, " "));
  });
  return script + R"script(  esac
}
if [[ $funcstack[1] == _loadline ]]; then _loadline "$@"; else compdef _loadline loadline; fi
)script";
}

std::string for_fish(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// That all words of the path were typed, and none of the commands below it.
std::string fish_condition(const Command& command, const std::string& path) {
  std::vector<std::string> parts;
  for (const std::string& word : CLI::detail::split(path, ' ')) {
    if (!word.empty()) parts.push_back("__fish_seen_subcommand_from " + word);
  }
  if (!command.below.empty()) {
    std::string names;
    for (const Command& one : command.below) names += " " + one.name;
    parts.push_back("not __fish_seen_subcommand_from" + names);
  }
  return fmt::format("{}", fmt::join(parts, "; and "));
}

std::string fish(const Command& program) {
  std::string script = "# As ~/.config/fish/completions/loadline.fish\n";
  for_each(program, "", [&](const Command& command, const std::string& path) {
    const std::string start =
        fmt::format("complete -c loadline -n '{}'", fish_condition(command, path));
    for (const Command& one : command.below) {
      script += fmt::format("{} -f -a {} -d '{}'\n", start, one.name, for_fish(one.text));
    }
    if (!command.words.empty()) {
      script += fmt::format("{} -f -a '{}'\n", start, fmt::join(command.words, " "));
    }
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.names) {
        std::string value;
        if (flag.has_value) value = " -r";
        if (!flag.words.empty()) value = fmt::format(" -x -a '{}'", fmt::join(flag.words, " "));
        script +=
            fmt::format("{} -l {}{} -d '{}'\n", start, name.substr(2), value, for_fish(flag.text));
      }
    }
  });
  return script;
}

}  // namespace

std::string completion_script(const CLI::App& program, const std::string& shell) {
  const Command all = command_of(program);
  if (shell == "bash") return bash(all);
  if (shell == "zsh") return zsh(all);
  if (shell == "fish") return fish(all);
  throw usage_error("completion {}: should be one of bash, zsh, fish", shell);
}

}  // namespace loadline
