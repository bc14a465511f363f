#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern_sets.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <cstdint>

#include "text/unicode_differences.h"

namespace loadline {
namespace {

// \x{...}-\x{...} for each range of characters that PCRE2 does not know yet. `category`: "L", "Nd"
// ...
std::string newer_ranges(std::string_view category) {
  std::string ranges;
  for (const NewerCharacters& newer : newer_characters()) {
    if (!newer.category.starts_with(category)) continue;
    ranges += fmt::format(R"(\x{{{:X}}}-\x{{{:X}}})", static_cast<std::uint32_t>(newer.first),
                          static_cast<std::uint32_t>(newer.last));
  }
  return ranges;
}

// What PCRE2 does not know yet of properties and scripts that are no categories.
struct NewerMembers {
  std::string_view name, ranges;
};
constexpr NewerMembers kNewerMembers[] = {
    {"Han", R"(\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})"},
    {"Hiragana", R"(\x{1B132})"},
    {"Katakana", R"(\x{1B155})"},
    {"Latin", R"(\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{1DF25}-\x{1DF2A})"},
    {"Cyrillic", R"(\x{1C89}-\x{1C8A}\x{1E030}-\x{1E06D}\x{1E08F})"},
    {"Arabic", R"(\x{897}\x{10EC2}-\x{10EC4}\x{10EFC}-\x{10EFF})"},
    {"Devanagari", R"(\x{11B00}-\x{11B09})"},
    {"Alphabetic",
     R"(\x{363}-\x{36F}\x{897}\x{C04}\x{CF3}\x{F82}-\x{F83}\x{1C89}-\x{1C8A})"
     R"(\x{1DD3}-\x{1DE6}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3})"
     R"(\x{10D4A}-\x{10D65}\x{10D69}\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{10EFC})"
     R"(\x{11080}-\x{11081}\x{1123F}-\x{11241}\x{11380}-\x{11389}\x{1138B}\x{1138E})"
     R"(\x{11390}-\x{113B5}\x{113B7}-\x{113C0}\x{113C2}\x{113C5}\x{113C7}-\x{113CA})"
     R"(\x{113CC}-\x{113CD}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F00}-\x{11F10})"
     R"(\x{11F12}-\x{11F3A}\x{11F3E}-\x{11F40}\x{1342F}\x{13441}-\x{13446})"
     R"(\x{13460}-\x{143FA}\x{16100}-\x{1612E}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132})"
     R"(\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D}\x{1E08F}\x{1E4D0}-\x{1E4EB})"
     R"(\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})"},
};

}  // namespace

std::string word_set() {
  return fmt::format(R"(\p{{Alphabetic}}\p{{M}}\p{{Nd}}\p{{Pc}}{}{}{})", newer_ranges("L"),
                     newer_ranges("M"), newer_ranges("Nd"));
}

std::string word_character(bool negated) {
  return fmt::format(R"([{}{}\xB2\xB3\xB9\xBC-\xBE])", negated ? "^" : "", word_set());
}

std::string word_boundary() {
  const std::string word = word_character(false);
  return fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word);
}

std::string newer_members(std::string_view name) {
  if (name.size() <= 2) return newer_ranges(name);
  for (const NewerMembers& newer : kNewerMembers) {
    if (newer.name == name) return std::string(newer.ranges);
  }
  return "";
}

std::string named_set(std::string_view name) {
  const std::string alphabetic = R"(\p{Alphabetic})" + newer_members("Alphabetic");
  const std::string digits = R"(\p{Nd})" + newer_ranges("Nd");
  if (name == "alpha") return alphabetic;
  if (name == "alnum") return alphabetic + digits;
  if (name == "digit") return digits;
  if (name == "upper") return R"(\p{Uppercase})" + newer_ranges("Lu");
  if (name == "lower") return R"(\p{Lowercase}\x{1E030}-\x{1E06D})" + newer_ranges("Ll");
  if (name == "punct") return R"(\p{P}\p{S})" + newer_ranges("P") + newer_ranges("S");
  if (name == "space") return std::string(kSpaceSet);
  if (name == "blank") return R"(\p{Zs}\t)";
  if (name == "word") return word_set();
  if (name == "xdigit" || name == "cntrl") return fmt::format("[:{}:]", name);
  return "";
}

bool is_script(const std::string& name) {
  const std::string expression = fmt::format(R"(\p{{sc:{}}})", name);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                   expression.size(), PCRE2_UTF, &error, &at, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

}  // namespace loadline
