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

}  // namespace loadline
