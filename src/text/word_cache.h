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

}  // namespace loadline
