#include "commands/adapter_base.h"

#include <algorithm>
#include <cctype>
#include <system_error>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/weights.h"
#include "report/text.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// "NAME" of a folder, of ORG/NAME[@REVISION], and of a snapshot in the Hub's cache
// (models--ORG--NAME/snapshots/COMMIT).
std::string model_name(const fs::path& path) {
  std::string name;
  for (const fs::path& part : path) {
    const std::string text = part.string();
    if (text.empty() || text == ".") continue;
    name = text;
    if (!text.starts_with("models--")) continue;
    name = text.substr(text.rfind("--") + 2);
    break;
  }
  name = name.substr(0, name.find('@'));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

auto shapes_of(const ModelConfig& m) {
  return std::tuple(m.model_type, m.vocab_size, m.hidden_size, m.intermediate_size, m.layers,
                    m.heads, m.kv_heads, m.head_dim);
}

// What cannot be read says nothing.
template <typename Question>
bool answered(Question question) {
  try {
    return question();
  } catch (const Error&) {
    return false;
  }
}

bool is_same_model(const fs::path& base, const fs::path& folder, const ModelConfig& model) {
  std::error_code ignored;  // It may be another user's.
  const bool there = fs::exists(base / "config.json", ignored);
  if (there && fs::equivalent(base, folder, ignored)) return true;
  if (model_name(base) == model_name(folder)) {
    return !there || !answered([&] { return shapes_of(read_config(base)) != shapes_of(model); });
  }
  return there && answered([&] {
           return WeightFiles(base).fingerprint() == WeightFiles(folder).fingerprint();
         });
}

}  // namespace

std::string other_base_warning(const std::string& base_model, const fs::path& folder,
                               const ModelConfig& model) {
  if (base_model.empty() || is_same_model(base_model, folder, model)) return {};
  return fmt::format(
      "Warning: the adapter's configuration says that it belongs to {}, and the model is {}. On a "
      "model that it was not trained on, an adapter gives nonsense\n",
      printable(base_model), printable(folder.string()));
}

}  // namespace loadline
