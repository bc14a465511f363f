// Finds which of many keys a text begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace loadline {

// Nodes in order of their depth, so that a node's children stand side by side: 9 bytes a node.
class PrefixTree {
 public:
  static constexpr std::int32_t kNone = -1;
  // A node for each byte at most: what a hostile vocabulary may ask for.
  static constexpr std::size_t kMostNodes = std::size_t{1} << 25;
  struct Key {
    std::string_view text;
    std::int32_t value;  // at least 0
  };

  PrefixTree() : PrefixTree(std::vector<Key>()) {}
  // Of two equal keys one stays; an empty key is never found. Throws Error(kBadInput) above
  // kMostNodes.
  explicit PrefixTree(std::vector<Key> keys);

  // Calls found(bytes, value) for each key at the beginning of `text`, shortest first.
  template <typename Found>
  void each_prefix(std::string_view text, Found found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (values_[node] != kNone) found(i + 1, values_[node]);
    }
  }

 private:
  using Keys = std::span<const Key>;
  void add_children(Keys node, std::size_t depth, std::vector<Keys>& next);
  // 0, the root, when there is none.
  [[nodiscard]] std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    if (node == 0) return roots_children_[byte];
    const std::uint32_t end = first_child_[node + 1];
    for (std::uint32_t i = first_child_[node]; i < end; ++i) {
      if (labels_[i] == byte) return i;
    }
    return 0;
  }

  std::vector<std::uint32_t> first_child_;  // of each node, and one more: the end of the last's
  std::vector<std::int32_t> values_;
  std::vector<unsigned char> labels_;          // the byte that leads to the node
  std::vector<std::uint32_t> roots_children_;  // by byte
};

}  // namespace loadline
