#include "text/word_cache.h"

#include <algorithm>
#include <functional>

namespace loadline {
namespace {

std::size_t slot_of(std::string_view word, std::size_t slots) {
  return std::hash<std::string_view>{}(word) & (slots - 1);
}

}  // namespace

bool WordCache::find(std::string_view word, std::span<const std::int32_t>& ids) const {
  if (entries_.empty() || word.empty() || word.size() > kMostBytes) return false;
  const Entry& entry = entries_[slot_of(word, kEntries)];
  if (std::string_view(entry.word.data(), entry.bytes) != word) return false;
  ids = std::span(entry.ids).first(entry.count);
  return true;
}

void WordCache::keep(std::string_view word, std::span<const std::int32_t> ids) {
  if (word.empty() || word.size() > kMostBytes || ids.size() > kMostIds) return;
  if (entries_.empty()) entries_.resize(kEntries);
  Entry& entry = entries_[slot_of(word, kEntries)];
  entry.bytes = static_cast<std::uint8_t>(word.size());
  entry.count = static_cast<std::uint8_t>(ids.size());
  std::copy(word.begin(), word.end(), entry.word.begin());
  std::copy(ids.begin(), ids.end(), entry.ids.begin());
}

}  // namespace loadline
