// Python's str on UTF-8: positions count code points, white space and letter case are Unicode's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace loadline::jinja {

std::size_t code_point_count(std::string_view text);
// The code point at the beginning of a text that is not empty, and how many bytes it takes.
struct Point {
  std::uint32_t code = 0;
  std::size_t size = 1;
};
Point first_point(std::string_view text);
// How many bytes the last one takes.
std::size_t last_point_size(std::string_view text);

// The code points of a text in their order. A list of them would take 16 times its memory.
class CodePoints {
 public:
  class Iterator {
   public:
    explicit Iterator(std::string_view rest) : rest_(rest) {}
    std::string_view operator*() const { return rest_.substr(0, first_point(rest_).size); }
    Iterator& operator++() {
      rest_.remove_prefix(first_point(rest_).size);
      return *this;
    }
    bool operator!=(const Iterator& other) const { return rest_.size() != other.rest_.size(); }

   private:
    std::string_view rest_;
  };
  explicit CodePoints(std::string_view text) : text_(text) {}
  [[nodiscard]] Iterator begin() const { return Iterator(text_); }
  [[nodiscard]] Iterator end() const { return Iterator(text_.substr(text_.size())); }

 private:
  std::string_view text_;
};
inline CodePoints code_points(std::string_view text) { return CodePoints(text); }

void append_point(std::string& text, std::uint32_t code);

bool is_space(std::uint32_t code);      // str.isspace
bool is_printable(std::uint32_t code);  // str.isprintable
bool is_upper(std::uint32_t code);
bool is_lower(std::uint32_t code);
bool is_cased(std::uint32_t code);
bool is_alpha(std::uint32_t code);
bool is_decimal(std::uint32_t code);
bool is_digit(std::uint32_t code);
bool is_numeric(std::uint32_t code);
// Of an ASCII digit or letter, as in numbers up to base 36; 99 for anything else.
int digit_of(char c);
bool is_identifier(std::string_view text);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title_point(std::string_view point);
std::string capitalize(std::string_view text);
std::string title_words(std::string_view text);   // str.title: a letter after what is no letter
std::string title_filter(std::string_view text);  // Jinja's title: a letter after space or bracket
std::string swap_case(std::string_view text);

// The white space of both ends, or every code point that stands in `set`.
std::string_view strip(std::string_view text, bool left, bool right,
                       const std::string* set = nullptr);
// str.splitlines: also \v, \f, U+0085, U+2028 ...
std::vector<std::string> split_lines(std::string_view text, bool keep_ends = false);
// str.split and str.rsplit. Without `separator`: runs of white space. limit < 0: no limit.
std::vector<std::string> split(std::string_view text, const std::string* separator,
                               std::int64_t limit, Meter& meter);
std::vector<std::string> split_from_right(std::string_view text, const std::string* separator,
                                          std::int64_t limit, Meter& meter);

// In linear time; npos when absent.
std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from = 0);
std::size_t rfind_bytes(std::string_view text, std::string_view needle);
std::int64_t count_of(std::string_view text, std::string_view needle);
// limit < 0: all of them. An empty `old` stands between all code points.
std::string replace_all(std::string_view text, std::string_view old, std::string_view with,
                        std::int64_t limit, Meter& meter);
std::string escape_html(std::string_view text);

}  // namespace loadline::jinja
