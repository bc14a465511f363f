// The part of an item that a filter looks at: attribute="a.b.0", letter case set aside.
#pragma once

#include <optional>
#include <vector>

#include "jinja/interpreter.h"
#include "jinja/value.h"

namespace loadline::jinja {

class ItemKey {
 public:
  // attribute: a text with points (and commas when `several`), an int, or nothing: the item itself.
  ItemKey(Interpreter& interpreter, const std::optional<Value>& attribute, bool ignore_case,
          bool several = false);
  // A value standing in wherever a part of the path is undefined.
  void set_default(const std::optional<Value>& value);
  // With `several`: a list of the parts.
  [[nodiscard]] Value of(const Value& item) const;

 private:
  [[nodiscard]] Value follow(const std::vector<Value>& path, const Value& item) const;

  Interpreter& interpreter_;
  std::vector<std::vector<Value>> paths_;
  std::optional<Value> default_;
  bool ignore_case_;
  bool several_;
};

}  // namespace loadline::jinja
