// Methods of texts, lists, tuples and dicts (jinja/registry.h).
#include "jinja/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

Value dict_get(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) throw Failure("dict.get() takes no keyword arguments");
  const auto bound = bind(arguments, {"key", "default"}, "get");
  if (!bound[0]) throw Failure("get expected at least 1 argument, got 0");
  require_key(*bound[0]);
  const Value* found = find_key(*self.dict_or_null(), *bound[0], interpreter.meter());
  if (found != nullptr) return *found;
  return bound[1] ? *bound[1] : Value();
}

Value dict_view(Interpreter& interpreter, const Value& self, Arguments& arguments, Flavor flavor) {
  bind(arguments, {}, "this method");
  const auto& entries = self.dict_or_null()->entries;
  interpreter.meter().allocate(entries.size() * 3 * sizeof(Value));
  std::vector<Value> items;
  items.reserve(entries.size());
  for (const auto& [key, value] : entries) {
    if (flavor == Flavor::kDictItems) {
      items.push_back(Value::tuple({key, value}));
    } else {
      items.push_back(flavor == Flavor::kDictKeys ? key : value);
    }
  }
  return Value::of(flavor, std::move(items));
}
Value dict_items(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return dict_view(interpreter, self, arguments, Flavor::kDictItems);
}
Value dict_keys(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return dict_view(interpreter, self, arguments, Flavor::kDictKeys);
}
Value dict_values(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return dict_view(interpreter, self, arguments, Flavor::kDictValues);
}

Value copy(Interpreter&, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "copy");
  return self;
}

Value list_count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"value"}, "count");
  if (!bound[0]) throw Failure("count() takes exactly one argument");
  const auto& items = self.sequence_or_null()->items;
  return std::int64_t{std::count_if(items.begin(), items.end(), [&](const Value& item) {
    return equal(item, *bound[0], interpreter.meter());
  })};
}

Value list_index(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"value", "start", "stop"}, "index");
  if (!bound[0]) throw Failure("index expected at least 1 argument, got 0");
  const auto& items = self.sequence_or_null()->items;
  const auto size = static_cast<std::int64_t>(items.size());
  const auto limit = [&](const std::optional<Value>& given, std::int64_t missing) {
    if (!given) return missing;
    const std::int64_t index = as_index(*given);
    return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size);
  };
  const std::int64_t stop = limit(bound[2], size);
  for (std::int64_t i = limit(bound[1], 0); i < stop; ++i) {
    if (equal(items[static_cast<std::size_t>(i)], *bound[0], interpreter.meter())) return i;
  }
  throw Failure("the value is not in the list");
}

Value is_whole(Interpreter&, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "is_integer");
  return std::isfinite(self.number()) && std::floor(self.number()) == self.number();
}

constexpr std::array<NamedMethod, 5> kDictMethods = {{{"get", dict_get},
                                                      {"items", dict_items},
                                                      {"keys", dict_keys},
                                                      {"values", dict_values},
                                                      {"copy", copy}}};
constexpr std::array<NamedMethod, 2> kTupleMethods = {
    {{"count", list_count}, {"index", list_index}}};
constexpr std::array<NamedMethod, 3> kListMethods = {
    {{"count", list_count}, {"index", list_index}, {"copy", copy}}};
constexpr std::array<NamedMethod, 1> kFloatMethods = {{{"is_integer", is_whole}}};

// Python has these, but the sandbox of transformers does not let a template change a value.
constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault",
                                                          "update"};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear", "pop",    "reverse",
                                                          "insert", "sort",  "extend", "remove"};

bool changes(const Value& self, std::string_view name) {
  const auto among = [&](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (self.dict_or_null() != nullptr) return among(kDictChanges);
  return self.is_sequence(Flavor::kList) && among(kListChanges);
}

template <typename Table>
Method look_up(const Table& table, std::string_view name) {
  for (const NamedMethod& known : table) {
    if (known.name == name) return known.method;
  }
  return nullptr;
}

Method method_of(const Value& self, std::string_view name) {
  if (self.is_text()) return find_text_method(name);
  if (self.dict_or_null() != nullptr) return look_up(kDictMethods, name);
  if (self.is_sequence(Flavor::kList)) return look_up(kListMethods, name);
  if (self.is_sequence(Flavor::kTuple) || self.is_sequence(Flavor::kRange)) {
    return look_up(kTupleMethods, name);
  }
  return self.is_float() ? look_up(kFloatMethods, name) : nullptr;
}

}  // namespace

std::optional<Value> find_method(const Value& self, std::string_view name) {
  const Method method = method_of(self, name);
  if (method == nullptr && changes(self, name)) {
    return Value::undefined(fmt::format("a template must not change a {}: '{}' is not allowed",
                                        self.type_name(), name));
  }
  if (method == nullptr) return std::nullopt;
  return make_function(name, self.depth() + 1,
                       [self, method](Interpreter& interpreter, Arguments& arguments) {
                         return method(interpreter, self, arguments);
                       });
}

}  // namespace loadline::jinja
