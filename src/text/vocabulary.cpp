#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace loadline {
namespace {

constexpr std::size_t kBlock = 64 << 10;

std::uint32_t hash_of(std::string_view token) {
  const std::size_t hash = std::hash<std::string_view>{}(token);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

Vocabulary::Vocabulary(std::size_t expected_tokens)
    : slots_(std::bit_ceil(std::max<std::size_t>(expected_tokens * 2, 16))) {
  entries_.reserve(expected_tokens);
  by_id_.reserve(expected_tokens);
}

// Where the token is, or the free slot where it would be.
std::size_t Vocabulary::slot_of(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  while (slots_[slot] != 0) {
    const Token& entry = entries_[slots_[slot] - 1];
    if (entry.hash == hash && entry.text == token) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}

std::string_view Vocabulary::keep(std::string_view token) {
  const bool fits =
      !blocks_.empty() && blocks_.back().capacity() - blocks_.back().size() >= token.size();
  if (!fits) {
    blocks_.emplace_back();
    blocks_.back().reserve(std::max(kBlock, token.size()));
  }
  std::string& block = blocks_.back();
  const std::size_t at = block.size();
  block += token;
  return std::string_view(block).substr(at);
}

void Vocabulary::grow() {
  slots_.assign(slots_.size() * 2, 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

bool Vocabulary::add(std::string_view token, std::int32_t id) {
  if ((entries_.size() + 1) * 2 > slots_.size()) grow();
  const std::uint32_t hash = hash_of(token);
  const std::size_t slot = slot_of(token, hash);
  if (slots_[slot] != 0) return false;
  entries_.push_back({keep(token), hash, id});
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  const auto index = static_cast<std::size_t>(id);
  if (index >= by_id_.size()) by_id_.resize(index + 1);
  by_id_[index] = slots_[slot];
  largest_id_ = std::max(largest_id_, id);
  return true;
}

std::int32_t Vocabulary::find(std::string_view token) const {
  const std::uint32_t entry = slots_[slot_of(token, hash_of(token))];
  return entry == 0 ? kNone : entries_[entry - 1].id;
}

const std::string_view* Vocabulary::token(std::int64_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= by_id_.size()) return nullptr;
  const std::uint32_t entry = by_id_[static_cast<std::size_t>(id)];
  return entry == 0 ? nullptr : &entries_[entry - 1].text;
}

}  // namespace loadline
