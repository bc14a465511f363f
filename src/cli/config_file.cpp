#include "cli/config_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "cli/contradictions.h"

namespace loadline {
namespace {

constexpr Bytes kMaxConfig = 1_MiB;
constexpr std::string_view kLong = "--config=";

struct FileFlag {
  std::string name;   // its first one
  std::string key;    // as it stands in the file
  std::string word;   // "--batch-size=4"
  std::string value;  // "4"
  std::string place;  // "flags.toml:2"
  bool is_shared = false;
};

std::string scalar_text(const toml::node& value, const std::string& file, std::string_view key) {
  if (const auto text = value.value_exact<std::string>()) return *text;
  if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto number = value.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto on = value.value_exact<bool>()) return *on ? "true" : "false";
  throw bad_input("{}:{}: '{}' should be text, a number, true or false, or a list of these", file,
                  value.source().begin.line, key);
}

std::string joined(const toml::array& list, const std::string& file, std::string_view key) {
  std::string text;
  for (const toml::node& element : list) {
    if (!text.empty()) text += ',';
    text += scalar_text(element, file, key);
  }
  return text;
}

std::string flag_named(std::string_view key) {
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

// As one word each, so that no value is taken for a flag, and `false` turns a toggle off.
FileFlag flag_of(std::string_view key, const toml::node& value, const std::string& file,
                 const KnownFlags& known) {
  const std::string flag = flag_named(key);
  const std::string name = known.first_name(flag);
  if (flag == "--config" || flag == "--help" || name.empty()) {
    throw bad_input("{}:{}: '{}' is no flag of this command; --help lists them", file,
                    value.source().begin.line, key);
  }
  const toml::array* list = value.as_array();
  const std::string text =
      list != nullptr ? joined(*list, file, key) : scalar_text(value, file, key);
  if (text.empty()) {
    throw bad_input("{}:{}: '{}' is empty", file, value.source().begin.line, key);
  }
  return {name, std::string(key), flag + "=" + text, text,
          fmt::format("{}:{}", file, value.source().begin.line)};
}

toml::table parse_toml(const std::string& file) {
  try {
    return toml::parse(read_file(file, kMaxConfig), file);
  } catch (const toml::parse_error& error) {
    throw bad_input("{}:{}: {}", file, error.source().begin.line, error.description());
  }
}

// Those of a table that are no sections; `command` is whose section it is, empty where it is for
// all. As for typed flags, two names of one are a mistake.
std::vector<FileFlag> flags_in(const toml::table& table, const std::string& file,
                               const KnownFlags& known, const std::string& command) {
  std::vector<FileFlag> flags;
  for (const auto& [key, value] : table) {
    if (value.is_table()) continue;
    const std::string flag_of_key = flag_named(key.str());
    const bool is_for_others =
        known.first_name(flag_of_key).empty() && known.is_of_command(flag_of_key, command);
    if (is_for_others) continue;
    FileFlag flag = flag_of(key.str(), value, file, known);
    flag.is_shared = command.empty();
    for (const FileFlag& other : flags) {
      if (other.name != flag.name) continue;
      throw bad_input("{}:{}: '{}' and '{}' are two names of one flag: leave one out", file,
                      value.source().begin.line, other.key, flag.key);
    }
    flags.push_back(std::move(flag));
  }
  return flags;
}

// The section of the command that was typed, if any. Others are for other commands.
const toml::table* section_of(const std::string& command, const toml::table& table,
                              const std::string& file, const KnownFlags& known) {
  const toml::table* section = nullptr;
  for (const auto& [key, value] : table) {
    if (!value.is_table()) continue;
    if (!known.is_command(std::string(key.str()))) {
      throw bad_input("{}:{}: '{}' is no command, and a section is for the command of its name",
                      file, value.source().begin.line, key.str());
    }
    if (key.str() == command) section = value.as_table();
  }
  if (section == nullptr) return nullptr;
  for (const auto& [key, value] : *section) {
    if (!value.is_table()) continue;
    throw bad_input("{}:{}: '{}' stands in a section, where no other one may be", file,
                    value.source().begin.line, key.str());
  }
  return section;
}

std::vector<GivenFlag> given(const std::vector<FileFlag>& flags) {
  std::vector<GivenFlag> all;
  all.reserve(flags.size());
  for (const FileFlag& flag : flags) all.push_back({flag.name, flag.value});
  return all;
}

void remove_named(std::vector<FileFlag>& flags, const std::vector<std::string>& names) {
  std::erase_if(flags, [&](const FileFlag& flag) {
    return std::find(names.begin(), names.end(), flag.name) != names.end();
  });
}

std::vector<FileFlag> flags_of(const std::string& file, const std::string& command,
                               const KnownFlags& known) {
  const toml::table table = parse_toml(file);
  const toml::table* section = section_of(command, table, file, known);
  std::vector<FileFlag> flags = flags_in(table, file, known, "");
  if (section == nullptr) return flags;
  const std::vector<FileFlag> own = flags_in(*section, file, known, command);
  std::vector<std::string> replaced = giving_way(given(flags), given(own));
  for (const FileFlag& flag : own) replaced.push_back(flag.name);
  remove_named(flags, replaced);
  flags.insert(flags.end(), own.begin(), own.end());
  return flags;
}

// The flags that were typed, by their first names. What stands behind one and is no flag counts as
// its value.
std::vector<GivenFlag> typed_flags(const std::vector<std::string>& words, const KnownFlags& known) {
  std::vector<GivenFlag> flags;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--")) continue;
    const std::size_t sign = word.find('=');
    std::string name = known.first_name(word.substr(0, sign));
    if (name.empty()) continue;
    const bool has_next = i + 1 < words.size() && !words[i + 1].starts_with("--");
    flags.push_back({std::move(name), sign != word.npos ? word.substr(sign + 1)
                                      : has_next        ? words[i + 1]
                                                        : "true"});
  }
  return flags;
}

// The arguments without `-c FILE`, which is moved to `file`.
std::vector<std::string> without_config(const std::vector<std::string>& arguments,
                                        std::optional<std::string>& file) {
  std::vector<std::string> rest;
  const auto take = [&](const std::string& name) {
    if (file) throw usage_error("-c {}: only one file may be given, and {} is one", name, *file);
    file = name;
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-c" || argument == "--config") {
      if (i + 1 == arguments.size())
        throw usage_error("{} needs the name of a .toml file", argument);
      take(arguments[++i]);
    } else if (argument.starts_with(kLong)) {
      take(argument.substr(kLong.size()));
    } else {
      rest.push_back(argument);
    }
  }
  return rest;
}

}  // namespace

std::vector<std::string> without_config_file(const std::vector<std::string>& arguments) {
  std::optional<std::string> ignored;
  return without_config(arguments, ignored);
}

std::vector<std::string> expand_config_file(const std::vector<std::string>& arguments,
                                            const KnownFlags& known,
                                            std::vector<FlagOrigin>* origins) {
  if (arguments.empty()) return arguments;
  std::optional<std::string> file;
  std::vector<std::string> words = without_config(arguments, file);
  if (!file || words.empty()) return words;
  std::vector<FileFlag> flags = flags_of(*file, words.front(), known);
  const std::vector<GivenFlag> typed = typed_flags(words, known);
  remove_named(flags, giving_way(given(flags), typed));
  const auto behind = words.begin() + static_cast<std::ptrdiff_t>(known.command_words(words));
  std::vector<std::string> expanded(words.begin(), behind);
  for (const FileFlag& flag : flags) {
    expanded.push_back(flag.word);
    const bool is_typed = std::any_of(typed.begin(), typed.end(), [&](const GivenFlag& other) {
      return other.name == flag.name;
    });
    if (origins != nullptr && !is_typed)
      origins->push_back({flag.name, flag.place, flag.is_shared});
  }
  expanded.insert(expanded.end(), behind, words.end());
  return expanded;
}

}  // namespace loadline
