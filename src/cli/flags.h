// The command line's flags. CLI11 stands behind this; what adds flags does not know it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace loadline {

// Adds flags to a command. `names` is one name or several: "--lora-layers,--num-layers". `looks` is
// that and, where it is said, what a value looks like: "--data FILE|DIR"; words in small letters
// are all that there are: "--quantize none|nf4". `into` must outlive the parse; what stands in it
// before is the default that --help shows.
class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(&app) {}

  // The same command: what is added through it stands below this heading in --help.
  [[nodiscard]] Flags under(const char* heading) const;

  void value(const char* looks, std::string& into, const std::string& help);
  void value(const char* looks, std::int64_t& into, const std::string& help);
  void value(const char* looks, std::uint64_t& into, const std::string& help);
  void value(const char* looks, double& into, const std::string& help);
  // Empty when the flag was not typed.
  void value(const char* looks, std::optional<std::string>& into, const std::string& help);
  void value(const char* looks, std::optional<std::int64_t>& into, const std::string& help);
  void value(const char* looks, std::optional<double>& into, const std::string& help);
  // A number of layers; -1 where `all` was typed.
  void layers(const char* names, std::optional<std::int64_t>& into, const std::string& help);
  void toggle(const char* names, bool& into, const std::string& help);
  // A flag with a value that must be given.
  void required(const char* looks, std::string& into, const std::string& help);
  // A word without a name, which must be given.
  void word(const char* looks, std::string& into, const std::string& help);
  // One such word or several.
  void words(const char* looks, std::vector<std::string>& into, const std::string& help);
  // A command below this one; one of them must be given.
  Flags command(const char* name, const std::string& help);

  // After parsing: the flags that were typed, each by its first name and with the value that
  // counts; a toggle that was typed as off is one word, --mask-prompt=false.
  [[nodiscard]] std::vector<std::string> typed() const;
  // After parsing: was this command typed?
  [[nodiscard]] bool chosen() const;
  // Of the whole program: cli/completion.h.
  [[nodiscard]] std::string completion(const std::string& shell) const;

 private:
  void place(CLI::Option* option) const;

  CLI::App* app_;
  const char* heading_ = nullptr;  // CLI11's own where none was given
};

// What a toggle's word means, as CLI11 reads it: true, on, yes, 1 and the like; nothing where it is
// no such word.
std::optional<bool> toggle_value(const std::string& word);

// Parses words as those behind a command's name, whose flags `add` adds. Throws Error(kUsage).
void parse_words(const std::vector<std::string>& words, const std::function<void(Flags)>& add);

}  // namespace loadline
