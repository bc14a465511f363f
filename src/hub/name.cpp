#include "hub/name.h"

#include <algorithm>

#include "base/error.h"

namespace loadline {
namespace {

constexpr std::size_t kLongestPart = 96;
constexpr std::size_t kLongestRevision = 200;

// Not isalnum: the answer must not depend on the locale.
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_part(std::string_view part) {
  return !part.empty() && part.size() <= kLongestPart && is_word(part.front()) &&
         is_word(part.back()) && part.find("..") == std::string_view::npos &&
         part.find("--") == std::string_view::npos &&
         std::all_of(part.begin(), part.end(),
                     [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

// Becomes a path below refs/, so no part of it may lead elsewhere.
bool is_revision(std::string_view text) {
  if (text.empty() || text.size() > kLongestRevision) return false;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    if (part.empty() || part.front() == '.' || part.front() == '-') return false;
    if (part.find("..") != std::string_view::npos) return false;
    const auto allowed = [](char c) { return is_word(c) || c == '.' || c == '-' || c == '+'; };
    if (!std::all_of(part.begin(), part.end(), allowed)) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

std::string HubModel::text() const { return is_main() ? repository : repository + '@' + revision; }

std::optional<HubModel> parse_hub_model(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::string_view repository = text.substr(0, at);
  const std::size_t slash = repository.find('/');
  if (slash == std::string_view::npos || !is_part(repository.substr(0, slash)) ||
      !is_part(repository.substr(slash + 1))) {
    return std::nullopt;
  }
  HubModel model{.repository = std::string(repository)};
  if (at == std::string_view::npos) return model;
  model.revision = text.substr(at + 1);
  if (!is_revision(model.revision)) {
    throw usage_error("{}: '{}' cannot be a revision: a branch, a tag or a commit is expected",
                      text, model.revision);
  }
  return model;
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_commit(std::string_view text) { return is_hex(text, 40); }

}  // namespace loadline
