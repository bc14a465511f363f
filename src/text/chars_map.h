// SentencePiece's "precompiled_charsmap": which pieces of text become which others. The format is a
// tree of byte strings as a double array (github.com/s-yata/darts-clone), and the replacements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loadline {

class CharsMap {
 public:
  // `bytes`: the size of the tree in bytes, its units, and the replacements, each of which ends
  // with a zero byte; numbers are 32-bit, little-endian. Throws Error(kBadInput) naming `source`.
  CharsMap(std::string_view bytes, const std::string& source);

  // What the shortest entry that `piece` begins with becomes. Throws Error(kBadInput) when the tree
  // leads outside.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view piece) const;

 private:
  [[nodiscard]] std::uint32_t unit(std::uint64_t place) const;
  [[nodiscard]] std::string_view replacement(std::uint32_t at) const;
  [[noreturn]] void refuse() const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  std::string source_;
};

// Replaces what the map names, as the tokenizers library does it: a whole grapheme cluster of less
// than 6 bytes if it begins with an entry, else each of its characters that does.
void apply_chars_map(const CharsMap& map, std::string& text);

}  // namespace loadline
