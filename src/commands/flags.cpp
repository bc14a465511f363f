#include "commands/flags.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

namespace loadline {
namespace {

// Why the text is no T: CLI11 takes the nearest that a T can hold, and -1 for a very large number.
template <typename T>
std::string refusal(const std::string& text) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  T value{};
  const auto [stop, error] = std::from_chars(begin, end, value);
  const bool all = error == std::errc() && stop == end && begin != end;
  if constexpr (std::is_floating_point_v<T>) {
    return all && std::isfinite(value) ? "" : fmt::format("{} is no number", text);
  } else {
    if (all) return "";
    return fmt::format("{} is no whole number from {} to {}", text, std::numeric_limits<T>::min(),
                       std::numeric_limits<T>::max());
  }
}

template <typename T>
CLI::Option* number(CLI::App& app, const char* names, T& into, const std::string& help) {
  return app.add_option(names, into, help)->check(refusal<T>)->capture_default_str();
}
template <typename T>
CLI::Option* number(CLI::App& app, const char* names, std::optional<T>& into,
                    const std::string& help) {
  return app.add_option(names, into, help)->check(refusal<T>);
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

void Flags::value(const char* names, std::string& into, const std::string& help) {
  CLI::Option* option = app_->add_option(names, into, help);
  if (!into.empty()) option->capture_default_str();
  place(option);
}
void Flags::value(const char* names, std::int64_t& into, const std::string& help) {
  place(number(*app_, names, into, help));
}
void Flags::value(const char* names, std::uint64_t& into, const std::string& help) {
  place(number(*app_, names, into, help));
}
void Flags::value(const char* names, double& into, const std::string& help) {
  place(number(*app_, names, into, help));
}
void Flags::value(const char* names, std::optional<std::string>& into, const std::string& help) {
  place(app_->add_option(names, into, help));
}
void Flags::value(const char* names, std::optional<std::int64_t>& into, const std::string& help) {
  place(number(*app_, names, into, help));
}
void Flags::value(const char* names, std::optional<double>& into, const std::string& help) {
  place(number(*app_, names, into, help));
}
void Flags::toggle(const char* names, bool& into, const std::string& help) {
  place(app_->add_flag(names, into, help));
}
void Flags::required(const char* names, std::string& into, const std::string& help) {
  place(app_->add_option(names, into, help)->required());
}
void Flags::word(const char* name, std::string& into, const std::string& help) {
  place(app_->add_option(name, into, help)->required());
}
Flags Flags::command(const char* name, const std::string& help) {
  app_->require_subcommand(1);
  return Flags(*app_->add_subcommand(name, help));
}
bool Flags::chosen() const { return app_->parsed(); }

}  // namespace loadline
