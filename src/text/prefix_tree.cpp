#include "text/prefix_tree.h"

#include <algorithm>

#include "base/error.h"

namespace loadline {

PrefixTree::PrefixTree(std::vector<Key> keys) : values_{kNone}, labels_{0}, roots_children_(256) {
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.text < b.text; });
  std::vector<Keys> level = {keys};
  for (std::size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Keys> next;
    for (const Keys& node : level) {
      first_child_.push_back(static_cast<std::uint32_t>(values_.size()));
      add_children(node, depth, next);
    }
    level.swap(next);
  }
  first_child_.push_back(static_cast<std::uint32_t>(values_.size()));
}

// `node` are the keys that begin with its `depth` bytes, sorted; `next` gets those of each child.
void PrefixTree::add_children(Keys node, std::size_t depth, std::vector<Keys>& next) {
  while (!node.empty() && node.front().text.size() == depth) node = node.subspan(1);
  while (!node.empty()) {
    const char label = node.front().text[depth];
    const auto end = std::partition_point(node.begin(), node.end(),
                                          [&](const Key& key) { return key.text[depth] == label; });
    const Keys child = node.first(static_cast<std::size_t>(end - node.begin()));
    const auto place = static_cast<std::uint32_t>(values_.size());
    if (depth == 0) roots_children_[static_cast<unsigned char>(label)] = place;
    const Key& shortest = child.front();
    values_.push_back(shortest.text.size() == depth + 1 ? shortest.value : kNone);
    labels_.push_back(static_cast<unsigned char>(label));
    if (values_.size() > kMostNodes) {
      throw bad_input("the vocabulary's tokens begin in more than {} ways", kMostNodes);
    }
    next.push_back(child);
    node = node.subspan(child.size());
  }
}

}  // namespace loadline
