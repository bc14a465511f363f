// The ids of words seen lately: text repeats its words.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace loadline {

// A table of fixed size (2.6 MiB, made at the first use) in which a new word takes the place of an
// old one. Words above kMostBytes or kMostIds are not kept.
class WordCache {
 public:
  static constexpr std::size_t kMostBytes = 38;
  static constexpr std::size_t kMostIds = 10;

  // True when the word is known; then `ids` are its ids until the next call.
  [[nodiscard]] bool find(std::string_view word, std::span<const std::int32_t>& ids) const;
  void keep(std::string_view word, std::span<const std::int32_t> ids);

 private:
  static constexpr std::size_t kEntries = 1 << 15;
  struct Entry {
    std::uint8_t bytes = 0;  // 0: free
    std::uint8_t count = 0;
    std::array<char, kMostBytes> word{};
    std::array<std::int32_t, kMostIds> ids{};
  };
  std::vector<Entry> entries_;
};

// Appends the ids of `word` to `ids`: those of the cache, or those that encode_new() leaves in
// `fresh`.
template <typename EncodeNew>
void encode_cached(std::string_view word, WordCache& cache, std::vector<std::int32_t>& fresh,
                   std::vector<std::int32_t>& ids, EncodeNew encode_new) {
  std::span<const std::int32_t> known;
  if (!cache.find(word, known)) {
    encode_new();
    cache.keep(word, fresh);
    known = fresh;
  }
  ids.insert(ids.end(), known.begin(), known.end());
}

}  // namespace loadline
