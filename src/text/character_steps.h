// Normalizers that look at one character at a time. All take and leave valid UTF-8.
#pragma once

#include <string>

namespace loadline {

void to_lowercase(std::string& text);
void drop_combining_marks(std::string& text);   // StripAccents
void drop_nonspacing_marks(std::string& text);  // BertNormalizer's strip_accents, after NFD
// Control characters are dropped, white space becomes a blank.
void clean_for_bert(std::string& text);
// A blank on either side of each character of the CJK blocks.
void space_chinese_characters(std::string& text);
// The cleaning of Google's neural machine translation: as above, for lists of its own.
void apply_nmt(std::string& text);

}  // namespace loadline
