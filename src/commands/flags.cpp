#include "commands/flags.h"

#include <CLI/CLI.hpp>

namespace loadline {

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
  place(app_->add_option(names, into, help)->capture_default_str());
}
void Flags::value(const char* names, std::uint64_t& into, const std::string& help) {
  place(app_->add_option(names, into, help)->capture_default_str());
}
void Flags::value(const char* names, double& into, const std::string& help) {
  place(app_->add_option(names, into, help)->capture_default_str());
}
void Flags::value(const char* names, std::optional<std::string>& into, const std::string& help) {
  place(app_->add_option(names, into, help));
}
void Flags::value(const char* names, std::optional<std::int64_t>& into, const std::string& help) {
  place(app_->add_option(names, into, help));
}
void Flags::value(const char* names, std::optional<double>& into, const std::string& help) {
  place(app_->add_option(names, into, help));
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
