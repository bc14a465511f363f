#include "text/word_piece.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/unicode.h"

namespace loadline {
namespace {

// The tokens that begin with `prefix`, without it.
PrefixTree tree_behind(std::string_view prefix, const Vocabulary& vocabulary) {
  std::vector<PrefixTree::Key> keys;
  for (const Vocabulary::Token& token : vocabulary.tokens()) {
    if (token.text.starts_with(prefix)) {
      keys.push_back({token.text.substr(prefix.size()), token.id});
    }
  }
  return PrefixTree(std::move(keys));
}

std::size_t characters_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  }));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, Options options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      beginnings_(tree_behind("", vocabulary_)),
      continuations_(tree_behind(options_.continuing_prefix, vocabulary_)),
      unknown_id_(vocabulary_.find(options_.unknown_token)) {}

void WordPiece::encode(std::string_view word, Scratch& scratch,
                       std::vector<std::int32_t>& ids) const {
  encode_cached(word, scratch.cache, scratch.ids, ids, [&] { encode_new(word, scratch.ids); });
}

void WordPiece::encode_new(std::string_view word, std::vector<std::int32_t>& ids) const {
  ids.clear();
  if (characters_of(word) <= options_.longest_word && put_pieces(word, ids)) return;
  if (unknown_id_ == Vocabulary::kNone) {
    throw bad_input(
        "the text has an unknown word '{:.80}', but the unknown token '{}' is not in "
        "the tokenizer's vocabulary",
        word, options_.unknown_token);
  }
  ids.assign(1, unknown_id_);
}

bool WordPiece::put_pieces(std::string_view word, std::vector<std::int32_t>& ids) const {
  const PrefixTree* tree = &beginnings_;
  while (!word.empty()) {
    std::size_t longest = 0;
    std::int32_t id = Vocabulary::kNone;
    tree->each_prefix(word, [&](std::size_t bytes, std::int32_t found) {
      longest = bytes;
      id = found;
    });
    if (longest == 0) return false;
    ids.push_back(id);
    word.remove_prefix(longest);
    tree = &continuations_;
  }
  return true;
}

}  // namespace loadline
