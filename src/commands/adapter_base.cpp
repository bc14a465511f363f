#include "commands/adapter_base.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <system_error>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/weights.h"
#include "hub/name.h"
#include "report/model_name.h"
#include "report/text.h"
#include "workload/model_source.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

std::string lowered_name(const std::string& model) {
  std::string name = model_name(model);
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

// Where it lies on this machine: a name of the Hub in its cache.
fs::path place_of(const std::string& base_model) {
  std::error_code ignored;  // It may be another user's.
  if (fs::exists(fs::path(base_model) / "config.json", ignored)) return base_model;
  try {
    const auto named = parse_hub_model(base_model);
    return (named ? cached_snapshot(*named) : std::nullopt).value_or(base_model);
  } catch (const Error&) {
    return base_model;
  }
}

bool is_same_model(const std::string& base_model, const fs::path& folder,
                   const ModelConfig& model) {
  const fs::path base = place_of(base_model);
  std::error_code ignored;
  const bool there = fs::exists(base / "config.json", ignored);
  if (there && fs::equivalent(base, folder, ignored)) return true;
  const auto is_other = [&] {
    return shapes_of(read_config(base)) != shapes_of(model) ||
           WeightFiles(base).fingerprint() != WeightFiles(folder).fingerprint();
  };
  if (lowered_name(base_model) == lowered_name(folder.string())) {
    return !there || !answered(is_other);
  }
  return there && answered([&] { return !is_other(); });
}

}  // namespace

std::string base_named_by(const AnyAdapter& adapter) {
  if (adapter.base_revision.empty()) return adapter.base_model;
  return adapter.base_model + "@" + adapter.base_revision;
}

std::string other_base_warning(const std::string& base_model, const fs::path& folder,
                               const ModelConfig& model) {
  if (base_model.empty() || is_same_model(base_model, folder, model)) return {};
  return fmt::format(
      "Warning: the adapter's configuration says that it belongs to {}, and the model is {}. On a "
      "model that it was not trained on, an adapter gives nonsense\n",
      printable(base_model), printable(folder.string()));
}

}  // namespace loadline
