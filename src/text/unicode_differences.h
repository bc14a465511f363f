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
// The category of one of these, else "".
std::string_view newer_category(char32_t c);
// A number to the library that utf8proc does not know.
bool is_newer_number(char32_t c);

// The library's list of punctuation has it otherwise than Unicode 15.
bool is_disputed_punctuation(char32_t c);
// The library knows neither a decomposition, nor a composition, nor a combining class of it, where
// utf8proc does: nothing passes it in canonical ordering, and nothing composes with it.
bool is_outside_normal_forms(char32_t c);
// Marks and format characters of utf8proc's that the library's StripAccents and BertNormalizer do
// not know as such.
bool is_newer_mark(char32_t c);        // M*, of Unicode 10 and later
bool is_newer_nonspacing(char32_t c);  // Mn, of Unicode 9 and later
bool is_newer_format(char32_t c);      // Cf, of Unicode 9 and later
// The lower case of a newer character, else 0.
char32_t newer_lowercase(char32_t c);

}  // namespace loadline
