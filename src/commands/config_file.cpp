#include "commands/config_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

constexpr Bytes kMaxConfig = 1_MiB;
constexpr std::string_view kLong = "--config=";

using HasFlag = std::function<bool(const std::string& flag)>;

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

// As one word each, so that no value is taken for a flag, and `false` turns a toggle off.
std::string flag_of(std::string_view key, const toml::node& value, const std::string& file,
                    const HasFlag& has_flag) {
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  if (flag == "--config" || flag == "--help" || !has_flag(flag)) {
    throw bad_input("{}:{}: '{}' is no flag of this command; --help lists them", file,
                    value.source().begin.line, key);
  }
  const toml::array* list = value.as_array();
  const std::string text =
      list != nullptr ? joined(*list, file, key) : scalar_text(value, file, key);
  if (text.empty()) {
    throw bad_input("{}:{}: '{}' is empty", file, value.source().begin.line, key);
  }
  return flag + "=" + text;
}

toml::table parse_toml(const std::string& file) {
  try {
    return toml::parse(read_file(file, kMaxConfig), file);
  } catch (const toml::parse_error& error) {
    throw bad_input("{}:{}: {}", file, error.source().begin.line, error.description());
  }
}

std::vector<std::string> flags_of(const std::string& file, const HasFlag& has_flag) {
  std::vector<std::string> flags;
  for (const auto& [key, value] : parse_toml(file)) {
    flags.push_back(flag_of(key.str(), value, file, has_flag));
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

std::vector<std::string> expand_config_file(const std::vector<std::string>& arguments,
                                            const HasFlag& has_flag) {
  if (arguments.empty()) return arguments;
  std::optional<std::string> file;
  std::vector<std::string> words = without_config(arguments, file);
  if (!file || words.empty()) return words;
  const std::vector<std::string> flags = flags_of(*file, has_flag);
  words.insert(words.begin() + 1, flags.begin(), flags.end());
  return words;
}

}  // namespace loadline
