// Unigram language model (SentencePiece's): of all ways to cut a word into tokens, the one whose
// scores have the largest sum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/prefix_tree.h"
#include "text/vocabulary.h"
#include "text/word_cache.h"

namespace loadline {

class Unigram {
 public:
  struct Options {
    std::optional<std::int32_t> unknown_id;
    bool byte_fallback = false;  // unknown characters become their bytes' tokens <0x..>
  };
  // The best way to a place in the word.
  struct Arrival {
    double score = 0;
    std::uint32_t bytes = 0;  // of its last token; 0: none has arrived
    std::int32_t id = 0;      // of its last token
  };
  // Buffers of one word at a time, and the words seen lately; one for each thread.
  struct Scratch {
    WordCache cache;
    std::vector<std::int32_t> ids;
    std::vector<Arrival> arrivals, path;
  };

  // `scores` by id. Throws Error(kBadInput) when the unknown id is not in the vocabulary.
  Unigram(Vocabulary vocabulary, std::vector<double> scores, Options options,
          const std::string& source);

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  // Appends the ids of a word (valid UTF-8).
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  class Encoding;
  Vocabulary vocabulary_;
  std::vector<double> scores_;
  Options options_;
  PrefixTree tokens_;
  double unknown_score_ = 0;
  std::vector<std::int32_t> byte_ids_;  // of <0x00> to <0xFF>, or empty
};

}  // namespace loadline
