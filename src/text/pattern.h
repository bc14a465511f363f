// What a normalizer or a pre-tokenizer looks for: a literal string, or a regular expression written
// for Oniguruma (the tokenizers library's engine) and run by PCRE2.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace loadline {

// Buffers of a match; one for each thread.
class MatchScratch {
 public:
  MatchScratch();
  MatchScratch(const MatchScratch&) = delete;
  MatchScratch& operator=(const MatchScratch&) = delete;
  ~MatchScratch();

 private:
  friend class Pattern;
  struct State;
  std::unique_ptr<State> state_;
};

class Pattern {
 public:
  static Pattern literal(std::string text);
  // Throws Error(kBadInput), naming `source` and the pattern, when it does not compile or when it
  // uses what the two engines understand differently.
  static Pattern regex(std::string_view oniguruma, const std::string& source);
  // {"String": ...} or {"Regex": ...}, as tokenizer.json has it.
  static Pattern parse(const Json& value, const std::string& source);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  struct Match {
    std::size_t begin, end;
  };
  // The matches in `text` (valid UTF-8), one after the other, as the Rust library iterates: they do
  // not overlap, and an empty match is not taken where the last match ended. Start with a fresh
  // Cursor.
  struct Cursor {
    std::size_t next = 0;
    std::size_t last_end = std::string_view::npos;
  };
  // False when there is no further match. Throws Error(kBadInput) when the expression exceeds its
  // bounds of time and memory on this text.
  bool next(std::string_view text, Cursor& cursor, Match& match, MatchScratch& scratch) const;

 private:
  struct Code;
  Pattern();
  bool search(std::string_view text, std::size_t from, Match& match, MatchScratch& scratch) const;
  std::string text_;            // of the literal, or the expression for messages
  std::unique_ptr<Code> code_;  // nullptr: literal
};

// Rewrites an Oniguruma expression so that PCRE2 (UTF, UCP) understands the same: \s, \w and \h as
// Oniguruma defines them, \uHHHH, {n,m}+ (greedy there, possessive here), (?m) for dot-matches-all.
// Throws Error(kBadInput) for set operations, which PCRE2 has not.
std::string oniguruma_to_pcre2(std::string_view expression, const std::string& source);

}  // namespace loadline
