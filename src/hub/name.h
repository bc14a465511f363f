// How a model of the Hugging Face Hub is named: ORG/NAME, or ORG/NAME@REVISION.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace loadline {

struct HubModel {
  std::string repository;         // "ORG/NAME"
  std::string revision = "main";  // a branch, a tag, a commit, or refs/pr/N

  [[nodiscard]] bool is_main() const { return revision == "main"; }
  // "ORG/NAME", with "@REVISION" where it is not main.
  [[nodiscard]] std::string text() const;
};

// Nothing when `text` cannot be the name of a model on the Hub: it has no slash or several, a part
// does not begin and end with a letter, a digit or '_', holds anything but these and '.' and '-',
// has ".." or "--" or more than 96 characters. Throws Error(kUsage) when the name is good but the
// revision could not be one: such as "../x".
std::optional<HubModel> parse_hub_model(std::string_view text);

// `text` has `digits` lower-case hexadecimal digits; a commit has 40.
bool is_hex(std::string_view text, std::size_t digits);
bool is_commit(std::string_view text);

}  // namespace loadline
