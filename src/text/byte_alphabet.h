// GPT-2's alphabet: a printable character for each byte, so that any text is a string of known
// characters. Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace loadline {

// Appends the characters of the bytes.
void append_byte_characters(std::string& to, std::string_view bytes);
// The byte that a character stands for, or -1.
int byte_of_character(char32_t c);

}  // namespace loadline
