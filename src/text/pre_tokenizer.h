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
    // Bytes at its beginning that stem from the first character of the whole input.
    std::size_t head = 0;
  };
  std::vector<Piece> pieces, next;
  std::deque<std::string> texts;  // of pieces whose text was changed
};

// ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit,
// CharDelimiterSplit, FixedLength, BertPreTokenizer, Sequence.
class PreTokenizer {
 public:
  PreTokenizer();
  // `value` may be null: one piece. Throws Error(kBadInput) with the name of a type that is not
  // supported.
  // `may_leave_bytes`: the model takes what leaves_bytes() tells of.
  PreTokenizer(const Json& value, const std::string& source, bool may_leave_bytes);
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // Leaves the pieces of `text` in scratch.pieces; they point into `text` and scratch.texts, until
  // the next call. None is empty. `head`: see PieceScratch::Piece.
  void cut(std::string_view text, std::size_t head, PieceScratch& scratch,
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
