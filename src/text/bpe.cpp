#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace loadline {
namespace {

// Up to here finding the best pair by looking at all is faster than a queue.
constexpr std::size_t kShortWord = 40;
// Latin, Greek, Cyrillic ... up to the CJK symbols: U+2581 is among them.
constexpr std::size_t kCharacterTable = 0x3000;
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(std::size_t expected_merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(expected_merges * 3 / 2, 16));
  slots_.resize(slots);
  shift_ = 64 - std::countr_zero(slots);
}

std::size_t MergeTable::slot_of(std::uint64_t pair) const {
  std::size_t slot = (pair * 0x9E3779B97F4A7C15U) >> shift_;
  while (slots_[slot].pair != pair && slots_[slot].merge.rank != kNoRank) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void MergeTable::add(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t pair = pair_of(left, right);
  slots_[slot_of(pair)] = {pair, merge};
}

MergeTable::Merge MergeTable::find(std::int32_t left, std::int32_t right) const {
  return slots_[slot_of(pair_of(left, right))].merge;
}

Bpe::Bpe(Vocabulary vocabulary, const std::vector<MergePair>& merges, Options options,
         const std::string& source)
    : vocabulary_(std::move(vocabulary)), merges_(merges.size()), options_(std::move(options)) {
  const auto require = [&](std::string_view token, std::size_t rank) {
    const std::int32_t id = vocabulary_.find(token);
    if (id != Vocabulary::kNone) return id;
    throw bad_input("{}: merge {} needs the token '{:.80}', which the vocabulary has not", source,
                    rank, token);
  };
  std::string merged;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    if (!right.starts_with(options_.subword_prefix)) {
      throw bad_input("{}: merge {}: '{:.80}' does not begin with the prefix '{:.80}'", source,
                      rank, right, options_.subword_prefix);
    }
    merged.assign(left).append(right.substr(options_.subword_prefix.size()));
    const std::int32_t left_id = require(left, rank);
    const std::int32_t right_id = require(right, rank);
    merges_.add(left_id, right_id, {static_cast<std::uint32_t>(rank), require(merged, rank)});
  }
  if (options_.has_unknown_token) unknown_id_ = vocabulary_.find(options_.unknown_token);
  for (int byte = 0; byte < 256 && options_.byte_fallback; ++byte) {
    byte_ids_.push_back(vocabulary_.find(fmt::format("<0x{:02X}>", byte)));
  }
  std::string character;
  for (char32_t c = 0; c < kCharacterTable; ++c) {
    character.clear();
    append_utf8(character, c);
    character_ids_.push_back(vocabulary_.find(character));
  }
  find_boundaries(merges);
}

void Bpe::find_boundaries(const std::vector<MergePair>& merges) {
  const auto crosses = [](std::string_view token) {
    for (std::size_t at = token.find(kSpaceMark, 1); at != std::string_view::npos;
         at = token.find(kSpaceMark, at + 1)) {
      if (!token.substr(0, at).ends_with(kSpaceMark)) return true;
    }
    return false;
  };
  // The mark must be known, so that an unknown run ends there in any case; and what is unknown must
  // not vanish, as two marks beside it would then meet.
  const bool nothing_vanishes =
      options_.has_unknown_token ||
      (options_.byte_fallback &&
       std::count(byte_ids_.begin(), byte_ids_.end(), Vocabulary::kNone) == 0);
  cuts_at_spaces_ = nothing_vanishes && !options_.words_are_bytes &&
                    options_.subword_prefix.empty() && options_.word_suffix.empty() &&
                    vocabulary_.find(kSpaceMark) != Vocabulary::kNone &&
                    std::none_of(merges.begin(), merges.end(), [&](const MergePair& merge) {
                      return crosses(std::string(merge.first).append(merge.second));
                    });
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  const auto encode_part = [&](std::string_view part) {
    encode_cached(part, scratch.cache, scratch.ids, ids, [&] { encode_new(part, scratch); });
  };
  if (!cuts_at_spaces_) return encode_part(word);
  if (options_.ignore_merges) {
    const std::int32_t whole = vocabulary_.find(word);
    if (whole != Vocabulary::kNone) return ids.push_back(whole);
  }
  std::size_t begin = 0;
  for (std::size_t at = word.find(kSpaceMark, 1); at != std::string_view::npos;
       at = word.find(kSpaceMark, at + kSpaceMark.size())) {
    if (word.substr(begin, at - begin).ends_with(kSpaceMark)) continue;
    encode_part(word.substr(begin, at - begin));
    begin = at;
  }
  encode_part(word.substr(begin));
}

// Leaves the ids in scratch.ids.
void Bpe::encode_new(std::string_view word, Scratch& scratch) const {
  std::string_view characters = word;
  if (options_.words_are_bytes) {
    scratch.characters.clear();
    append_byte_characters(scratch.characters, word);
    characters = scratch.characters;
  }
  scratch.ids.clear();
  if (options_.ignore_merges && !cuts_at_spaces_) {
    const std::int32_t whole = vocabulary_.find(characters);
    if (whole != Vocabulary::kNone) return scratch.ids.push_back(whole);
  }
  begin_symbols(characters, scratch.ids);
  if (scratch.ids.size() <= kShortWord) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
}

std::int32_t Bpe::id_of_character(std::string_view character) const {
  const char32_t c = first_code_point(character).value;
  return c < kCharacterTable ? character_ids_[c] : vocabulary_.find(character);
}

void Bpe::begin_symbols(std::string_view characters, std::vector<std::int32_t>& ids) const {
  const bool plain = options_.subword_prefix.empty() && options_.word_suffix.empty();
  std::int64_t pending_unknown = 0;  // unknown tokens that are still to be put out
  std::string decorated;
  for (std::size_t at = 0; at < characters.size();) {
    const std::size_t bytes = first_code_point(characters.substr(at)).bytes;
    std::string_view symbol = characters.substr(at, bytes);
    if (!plain) {
      decorated = at == 0 ? "" : options_.subword_prefix;
      decorated += symbol;
      if (at + bytes == characters.size()) decorated += options_.word_suffix;
      symbol = decorated;
    }
    const std::int32_t id = plain ? id_of_character(symbol) : vocabulary_.find(symbol);
    if (id != Vocabulary::kNone) {
      if (pending_unknown > 0) ids.push_back(unknown_id_);
      pending_unknown = 0;
      ids.push_back(id);
    } else {
      add_bytes_or_unknown(symbol, pending_unknown, ids);
    }
    at += bytes;
  }
  if (pending_unknown > 0) ids.push_back(unknown_id_);
}

// As the Rust library does it, an unknown token waits for the next known character, even when bytes
// come first.
void Bpe::add_bytes_or_unknown(std::string_view symbol, std::int64_t& pending_unknown,
                               std::vector<std::int32_t>& ids) const {
  if (options_.byte_fallback) {
    const bool all_known = std::all_of(symbol.begin(), symbol.end(), [&](char byte) {
      return byte_ids_[static_cast<unsigned char>(byte)] != Vocabulary::kNone;
    });
    if (all_known) {
      for (const char byte : symbol) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      return;
    }
  }
  if (!options_.has_unknown_token) return;
  if (unknown_id_ == Vocabulary::kNone) {
    throw bad_input(
        "the tokenizer's unknown token '{}' is not in its vocabulary, and the text has an "
        "unknown character '{}'",
        options_.unknown_token, symbol);
  }
  if (pending_unknown > 0 && !options_.fuse_unknown) ids.push_back(unknown_id_);
  pending_unknown = 1;
}

void Bpe::merge_short(Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // of each symbol with its right neighbour
  if (ids.size() < 2) return;
  ranks.resize(ids.size() - 1);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) ranks[i] = merges_.find(ids[i], ids[i + 1]).rank;
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == MergeTable::kNoRank) return;
    const auto i = static_cast<std::size_t>(best - ranks.begin());
    ids[i] = merges_.find(ids[i], ids[i + 1]).id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    ranks.erase(best);
    if (i < ranks.size()) ranks[i] = merges_.find(ids[i], ids[i + 1]).rank;
    if (i > 0) ranks[i - 1] = merges_.find(ids[i - 1], ids[i]).rank;
  }
}

// A queue of (rank, place); an entry is out of date when the pair at its place has another rank
// now.
void Bpe::merge_long(Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& queue = scratch.queue;
  const auto size = static_cast<std::int32_t>(ids.size());
  if (ids.size() > std::numeric_limits<std::int32_t>::max() / 2) {
    throw bad_input("a word of {} symbols is too long", ids.size());
  }
  scratch.previous.resize(ids.size());
  scratch.next.resize(ids.size());
  queue.clear();
  const auto at = [](auto& list, std::int32_t i) -> auto& {
    return list[static_cast<std::size_t>(i)];
  };
  const auto entry = [&](std::int32_t i) {
    const std::uint32_t rank = merges_.find(at(ids, i), at(ids, at(scratch.next, i))).rank;
    return std::pair(rank != MergeTable::kNoRank,
                     std::uint64_t{rank} << 32 | static_cast<std::uint32_t>(i));
  };
  const auto push = [&](std::int32_t i) {
    const auto [known, item] = entry(i);
    if (!known) return;
    queue.push_back(item);
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  for (std::int32_t i = 0; i < size; ++i) {
    at(scratch.previous, i) = i - 1;
    at(scratch.next, i) = i + 1;
    if (i + 1 == size) break;
    const auto [known, item] = entry(i);
    if (known) queue.push_back(item);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const std::uint64_t top = queue.back();
    queue.pop_back();
    const auto i = static_cast<std::int32_t>(top & 0xFFFFFFFFU);
    const std::int32_t right = at(scratch.next, i);
    if (at(ids, i) < 0 || right >= size) continue;
    const MergeTable::Merge merge = merges_.find(at(ids, i), at(ids, right));
    if (merge.rank != top >> 32) continue;
    at(ids, i) = merge.id;
    at(ids, right) = Vocabulary::kNone;
    const std::int32_t after = at(scratch.next, right);
    at(scratch.next, i) = after;
    if (after < size) {
      at(scratch.previous, after) = i;
      push(i);
    }
    if (at(scratch.previous, i) >= 0) push(at(scratch.previous, i));
  }
  std::erase(ids, Vocabulary::kNone);
}

}  // namespace loadline
