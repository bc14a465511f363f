#include "commands/config_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

constexpr Bytes kMaxConfig = 1_MiB;

std::string scalar_text(const toml::node& value, const std::string& file, std::string_view key) {
  if (const auto text = value.value_exact<std::string>()) return *text;
  if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto number = value.value_exact<double>()) return fmt::format("{}", *number);
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

void append_flag(std::vector<std::string>& flags, std::string_view key, const toml::node& value,
                 const std::string& file) {
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  if (const auto on = value.value_exact<bool>()) {
    if (*on) flags.push_back(flag);
    return;
  }
  const toml::array* list = value.as_array();
  flags.push_back(flag);
  flags.push_back(list != nullptr ? joined(*list, file, key) : scalar_text(value, file, key));
}

toml::table parse_toml(const std::string& file) {
  try {
    return toml::parse(read_file(file, kMaxConfig), file);
  } catch (const toml::parse_error& error) {
    throw bad_input("{}:{}: {}", file, error.source().begin.line, error.description());
  }
}

std::vector<std::string> flags_of(const std::string& file) {
  std::vector<std::string> flags;
  for (const auto& [key, value] : parse_toml(file)) append_flag(flags, key.str(), value, file);
  return flags;
}

}  // namespace

std::vector<std::string> expand_config_file(std::vector<std::string> arguments) {
  const auto at = std::find_if(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument == "-c" || argument == "--config";
  });
  if (at == arguments.end() || at == arguments.begin()) return arguments;
  if (at + 1 == arguments.end()) throw usage_error("{} needs the name of a .toml file", *at);
  const std::vector<std::string> flags = flags_of(*(at + 1));
  arguments.erase(at, at + 2);
  arguments.insert(arguments.begin() + 1, flags.begin(), flags.end());
  return arguments;
}

}  // namespace loadline
