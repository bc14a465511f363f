#include "text/byte_alphabet.h"

#include <array>

#include "text/unicode.h"

namespace loadline {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, 0x144> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.character[static_cast<std::size_t>(byte)] = c;
    alphabet.byte[c] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

void append_byte_characters(std::string& to, std::string_view bytes) {
  for (const char byte : bytes) {
    append_utf8(to, kAlphabet.character[static_cast<unsigned char>(byte)]);
  }
}

int byte_of_character(char32_t c) { return c < kAlphabet.byte.size() ? kAlphabet.byte[c] : -1; }

}  // namespace loadline
