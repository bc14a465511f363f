#include "jinja/item_key.h"

#include <algorithm>

#include "jinja/parse_number.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

std::vector<Value> path_of(const std::string& attribute, Meter& meter) {
  const std::string point = ".";
  std::vector<Value> path;
  for (const std::string& part : split(attribute, &point, -1, meter)) {
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    path.emplace_back(digits ? Value(parse_integer(part, 10).value()) : Value(part));
  }
  return path;
}

}  // namespace

ItemKey::ItemKey(Interpreter& interpreter, const std::optional<Value>& attribute, bool ignore_case,
                 bool several)
    : interpreter_(interpreter), ignore_case_(ignore_case), several_(several) {
  if (!attribute || attribute->is_none()) {
    paths_.emplace_back();
  } else if (!attribute->is_text()) {
    paths_.push_back({*attribute});
  } else if (several) {
    const std::string comma = ",";
    for (const std::string& part : split(attribute->bytes(), &comma, -1, interpreter.meter())) {
      paths_.push_back(path_of(part, interpreter.meter()));
    }
  } else {
    paths_.push_back(path_of(attribute->bytes(), interpreter.meter()));
  }
}

void ItemKey::set_default(const std::optional<Value>& value) {
  if (value && !value->is_none()) default_ = value;
}

Value ItemKey::of(const Value& item) const {
  if (!several_) return follow(paths_.front(), item);
  std::vector<Value> parts;
  for (const auto& path : paths_) parts.push_back(follow(path, item));
  return Value::list(std::move(parts));
}

Value ItemKey::follow(const std::vector<Value>& path, const Value& item) const {
  Value value = item;
  for (const Value& part : path) {
    value = interpreter_.subscript(value, part);
    if (default_ && value.is_undefined()) value = *default_;
  }
  if (!ignore_case_ || !value.is_text()) return value;
  interpreter_.meter().allocate(value.bytes().size());
  return to_lower(value.bytes());
}

}  // namespace loadline::jinja
