// UTF-8 and the character classes that tokenizers speak of. Classes are those of Rust's `char` and
// of its `regex` crate, which the tokenizers library is written with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace loadline {

struct CodePoint {
  char32_t value;
  std::size_t bytes;  // 1 to 4
};

// The first code point of `text`, which must be valid UTF-8 and not empty.
CodePoint first_code_point(std::string_view text);
// The last one, under the same conditions.
CodePoint last_code_point(std::string_view text);
void append_utf8(std::string& to, char32_t value);
bool is_valid_utf8(std::string_view text);
// `text` itself when it is valid UTF-8; else a copy in `storage` in which each maximal invalid part
// became U+FFFD, as Rust's String::from_utf8_lossy does it.
std::string_view valid_utf8(std::string_view text, std::string& storage);

bool is_white_space(char32_t c);  // White_Space
bool is_numeric(char32_t c);      // Nd, Nl, No
bool is_punctuation(char32_t c);  // P*, and all of ASCII's
bool is_control(char32_t c);      // Cc, Cf, Co
// As StripAccents and as BertNormalizer have it.
bool is_combining_mark(char32_t c);   // M*
bool is_nonspacing_mark(char32_t c);  // Mn
bool is_word(char32_t c);             // \w: letters, marks, decimal digits, connectors, joiners

}  // namespace loadline
