// How normalized text is cut into the pieces that the model sees: tokenizer.json's "pre_tokenizer".
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "text/pattern.h"

namespace loadline {

// Buffers of one cutting; reused, one for each thread.
struct PieceScratch {
  struct Piece {
    std::string_view text;
    bool at_start = false;  // begins where the whole input begins
  };
  std::vector<Piece> pieces, next;
  std::deque<std::string> texts;  // of pieces whose text was changed
};

// ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit,
// CharDelimiterSplit, BertPreTokenizer, Sequence.
class PreTokenizer {
 public:
  PreTokenizer();
  // `value` may be null: one piece. Throws Error(kBadInput) with the name of a type that is not
  // supported.
  PreTokenizer(const Json& value, const std::string& source);
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // Leaves the pieces of `text` in scratch.pieces; they point into `text` and scratch.texts, until
  // the next call. None is empty.
  void cut(std::string_view text, bool at_start, PieceScratch& scratch,
           MatchScratch& matches) const;
  // True when the pieces are bytes whose characters of the byte alphabet the model is to see. The
  // last step is then ByteLevel and has been left to the model, which does it only for words it has
  // not seen.
  [[nodiscard]] bool leaves_bytes() const { return leaves_bytes_; }

 private:
  struct Step;
  void add(const Json& value, const std::string& source);
  std::vector<Step> steps_;
  bool leaves_bytes_ = false;
};

}  // namespace loadline
