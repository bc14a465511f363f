// WordPiece (BERT's): a word is the longest token that it begins with, then the longest
// continuation, and so on; a word that does not come out is unknown as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/prefix_tree.h"
#include "text/vocabulary.h"
#include "text/word_cache.h"

namespace loadline {

class WordPiece {
 public:
  struct Options {
    std::string unknown_token = "[UNK]";
    std::string continuing_prefix = "##";  // of tokens that do not begin a word
    std::uint64_t longest_word = 100;      // in characters; a longer one is unknown
  };
  // Buffers of one word at a time, and the words seen lately; one for each thread.
  struct Scratch {
    WordCache cache;
    std::vector<std::int32_t> ids;
  };

  WordPiece(Vocabulary vocabulary, Options options);

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  // Appends the ids of a word (valid UTF-8). Throws Error(kBadInput) for an unknown word when the
  // vocabulary has no unknown token.
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  void encode_new(std::string_view word, std::vector<std::int32_t>& ids) const;
  [[nodiscard]] bool put_pieces(std::string_view word, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  Options options_;
  PrefixTree beginnings_, continuations_;
  std::int32_t unknown_id_ = Vocabulary::kNone;
};

}  // namespace loadline
