// Template text to tokens, as Jinja with trim_blocks and lstrip_blocks cuts it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace loadline::jinja {

enum class TokenKind : std::uint8_t {
  kData,           // text between tags, white space control applied
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // value: unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Integer integer = 0;  // of kInteger
  double number = 0;    // of kFloat
  int line = 1;
};

// A mistake in the template's text, with its line.
class SyntaxError : public std::runtime_error {
 public:
  SyntaxError(int line, const std::string& message) : std::runtime_error(message), line_(line) {}
  [[nodiscard]] int line() const { return line_; }

 private:
  int line_;
};

// The tokens of a template, kEnd last. Throws SyntaxError. `source` must be UTF-8.
std::vector<Token> tokenize(std::string_view source);

}  // namespace loadline::jinja
