// Sets of characters as Oniguruma has them, as PCRE2 has them in brackets.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

// White_Space; PCRE2's own \s adds U+180E.
constexpr std::string_view kSpaceSet = R"(\p{White_Space})";

// \w within brackets; PCRE2's own leaves out the marks.
std::string word_set();
// \w, or \W, outside of brackets, as a set: of the numbers that are not digits it has Latin-1's.
std::string word_character(bool negated);
// \b, as assertions.
std::string word_boundary();
// Of [:NAME:]; empty for those that are not translated.
std::string named_set(std::string_view name);
// The characters of a category, script or property that PCRE2 does not know yet.
std::string newer_members(std::string_view property);
// Whether `name` is a script: \p{Han} alone is PCRE2's wider "script extensions", \p{sc:Han} is
// not.
bool is_script(const std::string& name);

}  // namespace loadline
