// Where the tables of PCRE2 10.42 (Unicode 14) and utf8proc 2.8 (Unicode 15) differ from those that
// the tokenizers library 0.22 has: Oniguruma's and Rust's are newer, two of its crates' are older.
// Each list was found by running both on every code point.
#pragma once

#include <span>
#include <string_view>

namespace loadline {

struct NewerCharacters {
  std::string_view category;  // "Lu", "Nd" ...
  char32_t first, last;
};
// Characters of Unicode 15 and 16, sorted.
std::span<const NewerCharacters> newer_characters();
// True for a newer character whose category begins with one of `letters`, such as "LM".
bool is_newer(char32_t c, std::string_view letters);
// A number to the library that utf8proc does not know.
bool is_newer_number(char32_t c);

// The library's list of punctuation has it otherwise than Unicode 15.
bool is_disputed_punctuation(char32_t c);
// The library knows neither a decomposition, nor a composition, nor a combining class of it, where
// utf8proc does: nothing passes it in canonical ordering, and nothing composes with it.
bool is_outside_normal_forms(char32_t c);
// The lower case of a newer character, else 0.
char32_t newer_lowercase(char32_t c);

}  // namespace loadline
