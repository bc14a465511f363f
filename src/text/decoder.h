// How tokens become text again: tokenizer.json's "decoder".
#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "text/pattern.h"

namespace loadline {

// ByteLevel, ByteFallback, Replace, Fuse, Strip, Metaspace, BPEDecoder, WordPiece, Sequence.
class Decoder {
 public:
  Decoder();
  // `value` may be null: tokens are then joined by a blank. Throws Error(kBadInput) with the name
  // of a type that is not supported.
  Decoder(const Json& value, const std::string& source);
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();
  [[nodiscard]] std::string decode(std::vector<std::string> tokens, MatchScratch& scratch) const;

 private:
  struct Step;
  void add(const Json& value, const std::string& source);
  std::vector<Step> steps_;
  bool present_ = false;
};

}  // namespace loadline
