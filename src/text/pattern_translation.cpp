#include <cctype>
#include <vector>

#include "base/error.h"
#include "text/pattern.h"
#include "text/pattern_sets.h"

namespace loadline {
namespace {

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

class Translation {
 public:
  Translation(std::string_view in, const std::string& source) : in_(in), source_(source) {}

  std::string run() {
    while (at_ < in_.size()) {
      switch (in_[at_]) {
        case '\\':
          begin_atom();
          escape(/*in_class=*/false);
          break;
        case '[':
          begin_atom();
          char_class();
          break;
        case '(':
          open_group();
          break;
        case ')':
          close_group();
          break;
        case '{':
          interval();
          break;
        case '*':
        case '+':
        case '?':
          copy(1);
          break;
        default:
          begin_atom();
          copy(1);
          // The rest of a character of several bytes belongs to the same atom.
          while (at_ < in_.size() && (static_cast<unsigned char>(in_[at_]) & 0xC0U) == 0x80U) {
            copy(1);
          }
      }
    }
    return out_;
  }

 private:
  void copy(std::size_t bytes) {
    out_ += in_.substr(at_, bytes);
    at_ += bytes;
  }
  [[nodiscard]] char peek(std::size_t ahead) const {
    return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
  }
  void begin_atom() { atom_ = out_.size(); }

  Error refusal(std::string_view what) const {
    return bad_input("{}: pattern '{}' has {}, which is not supported", source_, in_, what);
  }

  void escape(bool in_class) {
    const char c = peek(1);
    const auto put = [&](std::string_view text) {
      out_ += text;
      at_ += 2;
    };
    if (c == 's') return put(kSpaceSet);
    if (c == 'S') return put(R"(\P{White_Space})");
    if (c == 'w') return put(in_class ? word_set() : word_character(false));
    if (c == 'W' && !in_class) return put(word_character(true));
    if (c == 'd' || (c == 'D' && !in_class)) {
      at_ += 2;
      return put_property("Nd", c == 'D', in_class);
    }
    if (c == 'h') return put(in_class ? "0-9a-fA-F" : "[0-9a-fA-F]");
    if (c == 'b' && !in_class) return put(word_boundary());
    if (c == 'B' && !in_class) return put(fmt::format("(?!{})", word_boundary()));
    if (c == 'W' || c == 'H') throw refusal(fmt::format("\\{}", c));
    if (c == 'u') return four_hex_digits();
    if ((c == 'p' || c == 'P') && peek(2) == '{') return property(in_class);
    if (c == 'x' && peek(2) == '{') return braces();
    copy(c == '\0' ? 1 : 2);
  }

  void four_hex_digits() {
    for (std::size_t i = 2; i < 6; ++i) {
      if (!is_hex(peek(i))) throw refusal("\\u without four digits");
    }
    out_ += fmt::format(R"(\x{{{}}})", in_.substr(at_ + 2, 4));
    at_ += 6;
  }

  // \p{Name}, \P{Name}, \p{^Name}
  void property(bool in_class) {
    const std::size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) throw refusal("a brace that is not closed");
    std::string name(in_.substr(at_ + 3, end - at_ - 3));
    bool negated = in_[at_ + 1] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    at_ = end + 1;
    put_property(name, negated, in_class);
  }

  // A negated property within a set has no place for what PCRE2 does not know.
  void put_property(const std::string& name, bool negated, bool in_class) {
    std::string newer;
    if (!negated || !in_class) {
      newer = newer_members(name);
    }
    const bool script = name.size() > 2 && is_script(name);
    const std::string known = fmt::format(R"(\{}{{{}{}}})", negated && newer.empty() ? 'P' : 'p',
                                          script ? "sc:" : "", name);
    if (in_class || newer.empty()) {
      out_ += known + newer;
    } else {
      out_ += fmt::format("[{}{}{}]", negated ? "^" : "", known, newer);
    }
  }

  void braces() {
    const std::size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) throw refusal("a brace that is not closed");
    copy(end + 1 - at_);
  }

  void char_class() {
    copy(1);
    if (peek(0) == '^') copy(1);
    if (peek(0) == ']') throw refusal("an empty set");
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '\\') {
        escape(/*in_class=*/true);
      } else if (in_[at_] == '[') {
        named_set_in_class();
      } else if (in_[at_] == '&' && peek(1) == '&') {
        throw refusal("an intersection of sets");
      } else {
        copy(1);
      }
    }
    if (at_ < in_.size()) copy(1);
  }

  // [:name:]
  void named_set_in_class() {
    if (peek(1) != ':') throw refusal("a set within a set");
    const std::size_t end = in_.find(":]", at_);
    if (end == std::string_view::npos) throw refusal("a named set that is not closed");
    const std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
    const std::string set = named_set(name);
    if (set.empty()) throw refusal(fmt::format("the named set [:{}:]", name));
    out_ += set;
    at_ = end + 2;
  }

  void open_group() {
    begin_atom();
    groups_.push_back(out_.size());
    copy(1);
    if (peek(0) != '?') {
      if (peek(0) == '*') throw refusal("a verb");
      return;
    }
    copy(1);
    // Flags: m is "dot matches a newline" there, s here.
    while (peek(0) == 'i' || peek(0) == 'm' || peek(0) == 'x' || peek(0) == '-') {
      out_ += peek(0) == 'm' ? 's' : peek(0);
      ++at_;
    }
    // The rest of the introduction: ":", "=", "!", ">", "<=", "<!", "<name>", ")".
    if (peek(0) == ')') return;
    if (std::string_view(":=!>").find(peek(0)) != std::string_view::npos) return copy(1);
    if (peek(0) == '<' && (peek(1) == '=' || peek(1) == '!')) return copy(2);
    throw refusal("a group of this kind");
  }

  void close_group() {
    copy(1);
    if (groups_.empty()) return;  // PCRE2 will say what is wrong
    atom_ = groups_.back();
    groups_.pop_back();
  }

  void interval() {
    const std::size_t end = in_.find('}', at_);
    std::string_view inside =
        end == std::string_view::npos ? "" : in_.substr(at_ + 1, end - at_ - 1);
    const bool counts = !inside.empty() &&
                        inside.find_first_not_of("0123456789,") == std::string_view::npos &&
                        inside != ",";
    if (!counts) {
      begin_atom();
      out_ += "\\{";
      ++at_;
      return;
    }
    // {,n} is {0,n}
    out_ += inside.front() == ',' ? "{0" : "{";
    out_.append(inside).append("}");
    at_ = end + 1;
    if (peek(0) == '+') {
      out_.insert(atom_, "(?:");
      out_ += ")+";
      ++at_;
    }
  }

  std::string_view in_;
  const std::string& source_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t atom_ = 0;             // where in out_ the last atom begins
  std::vector<std::size_t> groups_;  // where in out_ the open groups begin
};

}  // namespace

std::string oniguruma_to_pcre2(std::string_view expression, const std::string& source) {
  return Translation(expression, source).run();
}

}  // namespace loadline
