#include "text/character_steps.h"

#include <utf8proc.h>

#include <string_view>

#include "text/unicode.h"
#include "text/unicode_differences.h"

namespace loadline {
namespace {

// Puts together what `put(to, character)` makes of each character.
template <typename Put>
void for_each_character(std::string& text, Put put) {
  std::string made;
  made.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    rest.remove_prefix(c.bytes);
    put(made, c.value);
  }
  text.swap(made);
}

bool is_chinese(char32_t c) {
  return (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_dropped_by_nmt(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

bool is_blank_to_nmt(char32_t c) {
  return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == 0xFFFD;
}

}  // namespace

void to_lowercase(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    // The one character whose lower case has two.
    if (c == 0x130) {
      to += "i\xCC\x87";
      return;
    }
    const char32_t newer = c < 0x1C89 ? 0 : newer_lowercase(c);
    const auto mapped = utf8proc_tolower(static_cast<utf8proc_int32_t>(c));
    append_utf8(to, newer != 0 ? newer : static_cast<char32_t>(mapped));
  });
}

void drop_combining_marks(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    if (!is_combining_mark(c)) append_utf8(to, c);
  });
}

void drop_nonspacing_marks(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    if (!is_nonspacing_mark(c)) append_utf8(to, c);
  });
}

void clean_for_bert(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    const bool kept = c == '\t' || c == '\n' || c == '\r' || (c != 0xFFFD && !is_control(c));
    if (kept) append_utf8(to, is_white_space(c) ? ' ' : c);
  });
}

void space_chinese_characters(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    const bool spaced = is_chinese(c);
    if (spaced) to += ' ';
    append_utf8(to, c);
    if (spaced) to += ' ';
  });
}

void apply_nmt(std::string& text) {
  for_each_character(text, [](std::string& to, char32_t c) {
    if (is_dropped_by_nmt(c)) return;
    append_utf8(to, is_blank_to_nmt(c) ? ' ' : c);
  });
}

}  // namespace loadline
