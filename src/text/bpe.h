// Byte-pair encoding: a word begins as its characters, and the pair of neighbours that was learned
// first is merged, again and again, until no known pair is left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"
#include "text/word_cache.h"

namespace loadline {

// Pair of ids -> its rank (lower merges first) and the id that it becomes.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;

  MergeTable() : MergeTable(0) {}
  explicit MergeTable(std::size_t expected_merges);
  // Of two merges of one pair the later stays. No more than expected_merges may be added.
  void add(std::int32_t left, std::int32_t right, Merge merge);
  // rank is kNoRank when there is none.
  [[nodiscard]] Merge find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::uint64_t pair = ~std::uint64_t{0};
    Merge merge{kNoRank, 0};
  };
  [[nodiscard]] std::size_t slot_of(std::uint64_t pair) const;
  std::vector<Slot> slots_;
  int shift_ = 0;
};

class Bpe {
 public:
  struct Options {
    std::string unknown_token;  // empty: unknown characters vanish
    bool has_unknown_token = false;
    std::string subword_prefix;    // stands before every character but the word's first
    std::string word_suffix;       // stands after the word's last character
    bool fuse_unknown = false;     // neighbouring unknown characters are one unknown token
    bool byte_fallback = false;    // an unknown character becomes its bytes' tokens <0x..>
    bool ignore_merges = false;    // a word that is a token needs no merges
    bool words_are_bytes = false;  // words come as bytes, tokens are in the byte alphabet
  };
  // Buffers of one word at a time, and the words seen lately; one for each thread.
  struct Scratch {
    WordCache cache;
    std::string characters;
    std::vector<std::int32_t> ids;
    std::vector<std::uint32_t> ranks;
    std::vector<std::int32_t> previous, next;
    std::vector<std::uint64_t> queue;
  };
  using MergePair = std::pair<std::string_view, std::string_view>;

  Bpe() = default;
  // Throws Error(kBadInput) when a merge names a token that the vocabulary has not.
  Bpe(Vocabulary vocabulary, const std::vector<MergePair>& merges, Options options,
      const std::string& source);

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  // Appends the ids of a word (valid UTF-8).
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  void encode_new(std::string_view word, Scratch& scratch) const;
  void begin_symbols(std::string_view characters, std::vector<std::int32_t>& ids) const;
  void add_bytes_or_unknown(std::string_view symbol, std::int64_t& pending_unknown,
                            std::vector<std::int32_t>& ids) const;
  [[nodiscard]] std::int32_t id_of_character(std::string_view character) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;
  void find_boundaries(const std::vector<MergePair>& merges);

  Vocabulary vocabulary_;
  MergeTable merges_;
  Options options_;
  std::int32_t unknown_id_ = Vocabulary::kNone;
  std::vector<std::int32_t> byte_ids_;       // of <0x00> to <0xFF>, or empty
  std::vector<std::int32_t> character_ids_;  // of the low code points
  // No token of a merge has U+2581 after another character: a text can be cut before each.
  bool cuts_at_spaces_ = false;
};

}  // namespace loadline
