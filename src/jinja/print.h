// How values are written: Python's str, repr and json.dumps.
#pragma once

#include <string>
#include <string_view>

#include "jinja/value.h"

namespace loadline::jinja {

std::string to_text(const Value& value, Meter& meter);  // str(value)
std::string to_repr(const Value& value, Meter& meter);  // repr(value)
std::string text_repr(std::string_view text);
std::string float_repr(double number);
std::string integer_text(Integer number);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool on_lines = false;  // with `indent` before each, once a level
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
std::string to_json(const Value& value, const JsonStyle& style, Meter& meter);

}  // namespace loadline::jinja
