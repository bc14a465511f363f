// What happens to text before it is cut: tokenizer.json's "normalizer".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "text/pattern.h"

namespace loadline {

// NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, StripAccents, BertNormalizer, Nmt,
// Precompiled, ByteLevel, Sequence.
class Normalizer {
 public:
  Normalizer();
  // `value` may be null: nothing is done. Throws Error(kBadInput) with the name of a type that is
  // not supported.
  Normalizer(const Json& value, const std::string& source);
  Normalizer(Normalizer&&) noexcept;
  Normalizer& operator=(Normalizer&&) noexcept;
  ~Normalizer();

  // `text` is valid UTF-8, before and after. Returns how many bytes at its beginning stem from its
  // first character: 0 when that has vanished.
  std::size_t apply(std::string& text, MatchScratch& scratch) const;

 private:
  struct Step;
  void add(const Json& value, const std::string& source);
  void add_bert(const Json& value, const std::string& source);
  std::vector<Step> steps_;
};

}  // namespace loadline
