#include "cli/flags.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "cli/completion.h"

namespace loadline {
namespace {

// Nothing where the text is no T. CLI11 itself takes the nearest that a T can hold, 0 for an empty
// word, a very large number for -1, and 8 for 010.
template <typename T>
std::optional<T> parsed(const std::string& text) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  T value{};
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

// The digits of a number, which then is out of the range that is named.
bool has_digits_alone(const std::string& text) {
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  return text.size() > sign && text.find_first_not_of("0123456789", sign) == std::string::npos;
}

template <typename T>
std::string refuse_no_number(const std::string& text) {
  if (parsed<T>(text)) return "";
  const std::string word = text.empty() ? "an empty word" : text;
  if constexpr (std::is_floating_point_v<T>) {
    return fmt::format("{} is no number", word);
  } else {
    if (!has_digits_alone(text)) return fmt::format("{} is no whole number", word);
    return fmt::format("{} is no whole number from {} to {}", word, std::numeric_limits<T>::min(),
                       std::numeric_limits<T>::max());
  }
}

constexpr std::int64_t kAllLayers = -1;

std::string refuse_no_layers(const std::string& text) {
  if (text == "all") return "";
  const std::string refusal = refuse_no_number<std::int64_t>(text);
  return refusal.empty() ? "" : refusal + ", nor all";
}

std::string refuse_empty(const std::string& text) { return text.empty() ? "is empty" : ""; }

// "--quantize none|nf4": names, and what a value looks like.
struct Looks {
  std::string names, value;
};
Looks parted(const char* looks, const char* usual_value) {
  const std::string text = looks;
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return {text, usual_value};
  return {text.substr(0, space), text.substr(space + 1)};
}

// T is a number; Into is one or an optional one.
template <typename T, typename Into>
CLI::Option* number(CLI::App& app, const char* looks, Into& into, const std::string& help) {
  const auto put = [&into](const std::string& text) { into = *parsed<T>(text); };
  const auto [names, value] = parted(looks, std::is_floating_point_v<T> ? "X" : "N");
  CLI::Option* option = app.add_option_function<std::string>(names, put, help);
  return option->type_name(value)->check(refuse_no_number<T>);
}
// With what stands in `into` as the default in --help.
template <typename T>
CLI::Option* number_with_default(CLI::App& app, const char* looks, T& into,
                                 const std::string& help) {
  return number<T>(app, looks, into, help)->default_str(fmt::format("{}", into));
}

// Into is a text or an optional one.
template <typename Into>
CLI::Option* text_value(CLI::App& app, const char* looks, Into& into, const std::string& help) {
  const auto [names, value] = parted(looks, "TEXT");
  return app.add_option(names, into, help)->type_name(value)->check(refuse_empty);
}

}  // namespace

Flags Flags::under(const char* heading) const {
  Flags other = *this;
  other.heading_ = heading;
  return other;
}

void Flags::place(CLI::Option* option) const {
  if (heading_ != nullptr) option->group(heading_);
}

void Flags::value(const char* looks, std::string& into, const std::string& help) {
  CLI::Option* option = text_value(*app_, looks, into, help);
  if (!into.empty()) option->capture_default_str();
  place(option);
}
void Flags::value(const char* looks, std::int64_t& into, const std::string& help) {
  place(number_with_default(*app_, looks, into, help));
}
void Flags::value(const char* looks, std::uint64_t& into, const std::string& help) {
  place(number_with_default(*app_, looks, into, help));
}
void Flags::value(const char* looks, double& into, const std::string& help) {
  place(number_with_default(*app_, looks, into, help));
}
void Flags::value(const char* looks, std::optional<std::string>& into, const std::string& help) {
  place(text_value(*app_, looks, into, help));
}
void Flags::value(const char* looks, std::optional<std::int64_t>& into, const std::string& help) {
  place(number<std::int64_t>(*app_, looks, into, help));
}
void Flags::value(const char* looks, std::optional<double>& into, const std::string& help) {
  place(number<double>(*app_, looks, into, help));
}
void Flags::layers(const char* names, std::optional<std::int64_t>& into, const std::string& help) {
  const auto put = [&into](const std::string& text) {
    into = text == "all" ? kAllLayers : *parsed<std::int64_t>(text);
  };
  CLI::Option* option = app_->add_option_function<std::string>(names, put, help);
  place(option->type_name("N|all")->check(refuse_no_layers));
}
void Flags::toggle(const char* names, bool& into, const std::string& help) {
  place(app_->add_flag(names, into, help));
}
void Flags::required(const char* looks, std::string& into, const std::string& help) {
  place(text_value(*app_, looks, into, help)->required());
}
void Flags::word(const char* looks, std::string& into, const std::string& help) {
  place(text_value(*app_, looks, into, help)->required());
}
void Flags::words(const char* looks, std::vector<std::string>& into, const std::string& help) {
  CLI::Option* option = text_value(*app_, looks, into, help)->required();
  place(option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
}
Flags Flags::command(const char* name, const std::string& help) {
  app_->require_subcommand(1);
  return Flags(*app_->add_subcommand(name, help));
}
std::vector<std::string> Flags::typed() const {
  std::vector<std::string> words;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const bool is_toggle = option->get_items_expected_max() == 0;
    const bool is_off = is_toggle && !option->as<bool>();
    words.push_back("--" + option->get_lnames().front() + (is_off ? "=false" : ""));
    if (!is_toggle) words.push_back(option->results().back());
  }
  return words;
}
bool Flags::chosen() const { return app_->parsed(); }
std::string Flags::completion(const std::string& shell) const {
  const CLI::App* program = app_;
  while (program->get_parent() != nullptr) program = program->get_parent();
  return completion_script(*program, shell);
}

std::optional<bool> toggle_value(const std::string& word) {
  bool on = false;
  if (word.empty() || !CLI::detail::lexical_cast(word, on)) return std::nullopt;
  return on;
}

void parse_words(const std::vector<std::string>& words, const std::function<void(Flags)>& add) {
  CLI::App app;
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add(Flags(app));
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    throw usage_error("{}", error.what());
  }
}

}  // namespace loadline
