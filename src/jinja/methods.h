// The methods of texts, apart from those of other values.
#pragma once

#include <string_view>

#include "jinja/value.h"

namespace loadline::jinja {

using Method = Value (*)(Interpreter&, const Value& self, Arguments& arguments);

struct NamedMethod {
  std::string_view name;
  Method method;
};

// nullptr when str has no such method, or it is not supported.
Method find_text_method(std::string_view name);

// str.format without format specifications: {} {0} {name} {0.attribute} {0[key]} {!r} {{ }}.
Value format_text(Interpreter& interpreter, const Value& self, Arguments& arguments);

}  // namespace loadline::jinja
