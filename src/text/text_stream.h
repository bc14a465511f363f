// Tokens into text as they come, never a torn character.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace loadline {

// All texts together are what the tokenizer makes of all tokens behind `before`, but that a
// character once given stays, where a stray byte right behind it would make the tokenizer tear it.
// Each is UTF-8.
class TextStream {
 public:
  // `before` is what stands before the first token: it decides whether that begins with a blank.
  // The tokenizer must outlive the stream. Special tokens have no text.
  TextStream(const Tokenizer& tokenizer, std::span<const std::int32_t> before);

  // The text that is complete with `id`: empty while a character lacks bytes.
  std::string push(std::int32_t id);
  // What is still held back, torn characters as U+FFFD.
  std::string finish();

 private:
  [[nodiscard]] std::string decoded(std::size_t count) const;
  // Of `all`, what comes behind the tokens that were shown.
  [[nodiscard]] std::string behind_shown(const std::string& all) const;

  const Tokenizer& tokenizer_;
  std::vector<std::int32_t> ids_;  // from where the text last stopped, and a few before it
  std::size_t shown_ = 0;          // of ids_, those whose text was given
};

}  // namespace loadline
