#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "jinja/literals.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

// Every line end becomes \n; the last one is dropped, as keep_trailing_newline is off.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

constexpr std::array<std::string_view, 26> kOperators = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) next_piece();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return std::string_view(source_).substr(at_); }
  [[nodiscard]] bool sees(std::string_view text) const {
    return rest().substr(0, text.size()) == text;
  }
  [[noreturn]] void fail(const std::string& message) const { throw SyntaxError(line_, message); }

  void add(TokenKind kind, std::string_view text) {
    tokens_.push_back({kind, std::string(text), 0, 0, line_});
  }
  void advance(std::size_t size) {
    const std::string_view passed = rest().substr(0, size);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    at_ += passed.size();
  }
  void skip_space() { advance(rest().size() - strip(rest(), true, false).size()); }

  // Text up to the next tag, then the tag.
  void next_piece() {
    const std::size_t begin = at_;
    std::size_t tag = at_;
    while (tag < source_.size() && !opens_tag(tag)) ++tag;
    std::string_view text = std::string_view(source_).substr(begin, tag - begin);
    if (tag == source_.size()) {
      if (!text.empty()) add(TokenKind::kData, text);
      advance(text.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    const std::string_view kept = trimmed(text, kind, sign);
    if (!kept.empty()) add(TokenKind::kData, kept);
    advance(text.size() + 2 + (sign == '-' || sign == '+' ? 1 : 0));
    if (kind == '#') {
      skip_comment();
    } else if (kind == '{') {
      add(TokenKind::kVariableBegin, "{{");
      tag_tokens(true);
    } else if (const auto end = raw_begin()) {
      advance(*end);
      raw_text();
    } else {
      add(TokenKind::kBlockBegin, "{%");
      tag_tokens(false);
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  [[nodiscard]] bool opens_tag(std::size_t at) const {
    return source_[at] == '{' && at + 1 < source_.size() &&
           (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#');
  }

  // White space before a tag: `-` takes all, lstrip_blocks that of the tag's own line.
  [[nodiscard]] std::string_view trimmed(std::string_view text, char kind, char sign) const {
    if (sign == '-') return strip(text, false, true);
    if (sign == '+' || kind == '{') return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return text;
    return strip(text.substr(begin), true, false).empty() ? text.substr(0, begin) : text;
  }

  // The size of "raw %}" here, if that is what stands after "{%".
  [[nodiscard]] std::optional<std::size_t> raw_begin() const {
    const std::string_view after = strip(rest(), true, false);
    if (after.substr(0, 3) != "raw") return std::nullopt;
    const std::string_view end = strip(after.substr(3), true, false);
    if (end.substr(0, 2) == "%}") return rest().size() - end.size() + 2;
    if (end.substr(0, 3) != "-%}") return std::nullopt;
    return rest().size() - strip(end.substr(3), true, false).size();
  }

  // The size of "%}", "-%}" with the white space after it, "+%}"; trim_blocks takes a newline after
  // a plain "%}". 0 when none stands at the beginning of `text`.
  [[nodiscard]] static std::size_t block_end(std::string_view text, char mark) {
    const std::string end = {mark, '}'};
    if (text.substr(0, 3) == "+" + end) return 3;
    if (text.substr(0, 3) == "-" + end) {
      return text.size() - strip(text.substr(3), true, false).size();
    }
    if (text.substr(0, 2) != end) return 0;
    return text.substr(2, 1) == "\n" ? 3 : 2;
  }

  void skip_comment() {
    for (std::size_t i = at_; i < source_.size(); ++i) {
      const std::size_t size = block_end(std::string_view(source_).substr(i), '#');
      if (size > 0) return advance(i + size - at_);
    }
    if (at_ < source_.size()) fail("a comment {# has no end #}");  // Jinja takes one at the end
  }

  void raw_text() {
    for (std::size_t i = at_; i < source_.size(); ++i) {
      std::string_view text = std::string_view(source_).substr(i);
      if (text.substr(0, 2) != "{%") continue;
      const char sign = text.size() > 2 ? text[2] : ' ';
      text = strip(text.substr(sign == '-' || sign == '+' ? 3 : 2), true, false);
      if (text.substr(0, 6) != "endraw") continue;
      text = strip(text.substr(6), true, false);
      const std::size_t size = block_end(text, '%');
      if (size == 0) continue;
      const std::string_view content = rest().substr(0, i - at_);
      const std::string_view kept = trimmed(content, '%', sign);
      if (!kept.empty()) add(TokenKind::kData, kept);
      return advance(rest().size() - text.size() + size);
    }
    if (at_ < source_.size()) fail("{% raw %} has no {% endraw %}");
  }

  // The tokens of one tag, its end included.
  void tag_tokens(bool variable) {
    const int begin_line = line_;
    while (true) {
      if (at_ >= source_.size()) {
        throw SyntaxError(begin_line, variable ? "{{ has no end }}" : "{% has no end %}");
      }
      if (brackets_.empty() && tag_end(variable)) return;
      if (is_space(first_point(rest()).code)) {
        skip_space();
      } else {
        tag_token();
      }
    }
  }

  bool tag_end(bool variable) {
    std::size_t size = 0;
    if (!variable) {
      size = block_end(rest(), '%');
    } else if (sees("-}}")) {
      size = rest().size() - strip(rest().substr(3), true, false).size();
    } else if (sees("}}")) {
      size = 2;
    }
    if (size == 0) return false;
    add(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
    advance(size);
    return true;
  }

  void tag_token() {
    if (const auto number = read_number(rest(), at_ > 0 ? source_[at_ - 1] : ' ')) {
      add(number->is_float ? TokenKind::kFloat : TokenKind::kInteger,
          rest().substr(0, number->size));
      tokens_.back().integer = number->integer;
      tokens_.back().number = number->number;
      if (number->too_large) fail("the integer " + tokens_.back().text + " is beyond 128 bits");
      return advance(number->size);
    }
    if (const std::size_t size = name_size(rest()); size > 0) {
      add(TokenKind::kName, rest().substr(0, size));
      if (!is_identifier(tokens_.back().text)) {
        fail(fmt::format("'{}' is not a name", tokens_.back().text));
      }
      return advance(size);
    }
    const char c = source_[at_];
    if (c == '"' || c == '\'') return string_token(c);
    for (const std::string_view op : kOperators) {
      if (sees(op)) return operator_token(op);
    }
    fail(fmt::format("unexpected '{}'", rest().substr(0, first_point(rest()).size)));
  }

  void string_token(char quote) {
    std::size_t end = 1;
    while (end < rest().size() && rest()[end] != quote) end += rest()[end] == '\\' ? 2 : 1;
    if (end >= rest().size()) fail(fmt::format("a string that begins with {} has no end", quote));
    try {
      add(TokenKind::kString, unescape(rest().substr(1, end - 1)));
    } catch (const Failure& failure) {
      fail(failure.what());
    }
    advance(end + 1);
  }

  void operator_token(std::string_view op) {
    if (op == "{") brackets_ += '}';
    if (op == "(") brackets_ += ')';
    if (op == "[") brackets_ += ']';
    if (op == "}" || op == ")" || op == "]") {
      if (brackets_.empty()) fail(fmt::format("unexpected '{}'", op));
      if (brackets_.back() != op[0]) {
        fail(fmt::format("unexpected '{}', expected '{}'", op, brackets_.back()));
      }
      brackets_.pop_back();
    }
    add(TokenKind::kOperator, op);
    advance(op.size());
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;  // the closing ones that are awaited
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace loadline::jinja
