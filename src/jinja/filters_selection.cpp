// Filters that apply another filter or a test to every item, and the lookup of filters by name
// (jinja/registry.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/filters_rare.h"
#include "jinja/interpreter.h"
#include "jinja/item_key.h"
#include "jinja/operators.h"
#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

// Takes the first positional argument: a name.
std::string take_name(Arguments& arguments, std::string_view filter) {
  if (arguments.positional.empty()) throw Failure(fmt::format("{} requires an argument", filter));
  const Value name = arguments.positional.front();
  arguments.positional.erase(arguments.positional.begin());
  if (!name.is_text())
    throw Failure(fmt::format("{} wants a name, not '{}'", filter, name.type_name()));
  return name.bytes();
}

std::vector<Value> attributes_of(Interpreter& interpreter, const Value& subject,
                                 const Arguments& arguments) {
  const auto bound = bind(Arguments{{}, arguments.named}, {"attribute", "default"}, "map");
  ItemKey key(interpreter, bound[0], false);
  key.set_default(bound[1]);
  std::vector<Value> out;
  for (const Value& item : iterate(subject, interpreter.meter())) out.push_back(key.of(item));
  return out;
}

Value map(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  if (!truth(subject)) return Value::iterator({});
  const bool by_attribute =
      arguments.positional.empty() &&
      std::any_of(arguments.named.begin(), arguments.named.end(),
                  [](const auto& given) { return given.first == "attribute"; });
  if (by_attribute) return Value::iterator(attributes_of(interpreter, subject, arguments));
  const std::string filter = take_name(arguments, "map");
  std::vector<Value> out;
  for (const Value& item : iterate(subject, interpreter.meter())) {
    Arguments copy = arguments;
    out.push_back(interpreter.apply_filter(filter, item, copy));
  }
  return Value::iterator(std::move(out));
}

Value choose(Interpreter& interpreter, const Value& subject, Arguments& arguments, bool wanted,
             bool by_attribute) {
  if (!truth(subject)) return Value::iterator({});
  std::optional<Value> attribute;
  if (by_attribute) {
    if (arguments.positional.empty()) throw Failure("Missing parameter for attribute name");
    attribute = arguments.positional.front();
    arguments.positional.erase(arguments.positional.begin());
  }
  const ItemKey key(interpreter, attribute, false);
  std::optional<std::string> test;
  if (!arguments.positional.empty()) test = take_name(arguments, "select");
  std::vector<Value> kept;
  for (Value& item : iterate(subject, interpreter.meter())) {
    Arguments copy = arguments;
    const Value looked_at = key.of(item);
    const bool holds = test ? interpreter.apply_test(*test, looked_at, copy) : truth(looked_at);
    if (holds == wanted) kept.push_back(std::move(item));
  }
  return Value::iterator(std::move(kept));
}

Value select(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return choose(interpreter, subject, arguments, true, false);
}
Value reject(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return choose(interpreter, subject, arguments, false, false);
}
Value selectattr(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return choose(interpreter, subject, arguments, true, true);
}
Value rejectattr(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return choose(interpreter, subject, arguments, false, true);
}

// A list of (grouper, list of items), in the groupers' order.
Value groupby(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"attribute", "default", "case_sensitive"}, "groupby");
  if (!bound[0]) throw Failure("groupby wants an attribute");
  Meter& meter = interpreter.meter();
  ItemKey key(interpreter, bound[0], !(bound[2] && truth(*bound[2])));
  ItemKey shown(interpreter, bound[0], false);
  key.set_default(bound[1]);
  shown.set_default(bound[1]);
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : iterate(subject, meter)) keyed.emplace_back(key.of(item), item);
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const auto& a, const auto& b) { return less(a.first, b.first, meter); });
  std::vector<Value> groups;
  for (std::size_t begin = 0; begin < keyed.size();) {
    std::vector<Value> group;
    std::size_t end = begin;
    while (end < keyed.size() && equal(keyed[begin].first, keyed[end].first, meter)) {
      group.push_back(keyed[end++].second);
    }
    if (end == begin) group.push_back(keyed[end++].second);  // nan is not even itself
    groups.push_back(Value::tuple({shown.of(group.front()), Value::list(group)}));
    begin = end;
  }
  return Value::list(std::move(groups));
}

const std::vector<NamedFilter>& selection_filters_table() {
  static const std::vector<NamedFilter> kFilters = {
      {"map", map},
      {"select", select},
      {"reject", reject},
      {"selectattr", selectattr},
      {"rejectattr", rejectattr},
      {"groupby", groupby},
  };
  return kFilters;
}

}  // namespace

const std::vector<NamedFilter>& selection_filters() { return selection_filters_table(); }

Filter find_filter(std::string_view name) {
  for (const auto* table :
       {&text_filters(), &sequence_filters(), &selection_filters(), &rare_filters()}) {
    for (const NamedFilter& known : *table) {
      if (known.name == name) return known.filter;
    }
  }
  return nullptr;
}

}  // namespace loadline::jinja
