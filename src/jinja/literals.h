// Names, numbers and strings as they are written in a template's tags.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace loadline::jinja {

struct NumberLiteral {
  std::size_t size = 0;  // bytes of the text
  bool is_float = false;
  bool too_large = false;  // an integer beyond 128 bits
  Integer integer = 0;
  double number = 0;
};

// 12, 1_000, 0xff, 0o17, 0b1, 1.5, 1e3, 1.5e-3 at the beginning of `text`. After a point (`x.0.1`)
// there is no float.
std::optional<NumberLiteral> read_number(std::string_view text, char before);

// Bytes of the name at the beginning of `text`, 0 when none stands there.
std::size_t name_size(std::string_view text);

// What stands between the quotes, with Python's escapes: \n, \x41, \u00e9, \101 ... An unknown
// escape stays as it is. Throws Failure for a malformed one and for lone surrogates.
std::string unescape(std::string_view text);

}  // namespace loadline::jinja
