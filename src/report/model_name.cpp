#include "report/model_name.h"

#include <filesystem>

namespace loadline {

std::string model_name(const std::string& model) {
  // A revision may have slashes.
  const bool is_absolute = model.starts_with('/');
  const std::filesystem::path path = is_absolute ? model : model.substr(0, model.find('@'));
  std::string name;
  for (const std::filesystem::path& part : path) {
    const std::string text = part.string();
    if (text.empty() || text == "." || text == "/") continue;
    name = text;
    if (!text.starts_with("models--")) continue;
    name = text.substr(text.rfind("--") + 2);
    break;
  }
  name = name.substr(0, name.find('@'));
  return name.empty() ? "model" : name;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string plain_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (is_plain(c)) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  const std::size_t first = name.find_first_not_of(".-");
  const std::size_t last = name.find_last_not_of('-');
  return first == std::string::npos ? "" : name.substr(first, last - first + 1);
}

}  // namespace loadline
