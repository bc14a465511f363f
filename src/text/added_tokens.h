// Tokens that are found in the text before anything else happens to it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace loadline {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in the normalized text
  bool special = false;      // left out by decode(skip_special)
};

// A part of a text: an added token, or what lies between.
struct TextPart {
  std::string_view text;
  std::optional<std::int32_t> id;
  // An added token that has taken nothing of what follows: a text that is the same up to here has
  // the same parts up to here.
  bool seam = false;
};

// Finds added tokens: leftmost first, of those the longest, without overlap.
class AddedTokenFinder {
 public:
  // `pattern` is what to look for: the token's content, or its normalized form.
  void add(const AddedToken& token, std::string_view pattern);
  // The parts of `text` in order, appended to `parts`. Empty parts are left out. `from` is 0, or
  // the end of a part with a `seam`: the parts from there on.
  void split(std::string_view text, std::vector<TextPart>& parts, std::size_t from = 0) const;

 private:
  struct Found {
    std::size_t end = 0;
    std::size_t token = 0;
  };
  [[nodiscard]] std::optional<Found> longest_at(std::string_view text, std::size_t at) const;

  struct Node {
    std::int64_t token = -1;
  };
  std::vector<AddedToken> tokens_;
  // A trie: (node << 8 | byte) -> node; node 0 is the root.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<Node> nodes_{1};
  std::array<bool, 256> first_{};
};

}  // namespace loadline
