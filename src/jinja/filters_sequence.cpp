// Filters on lists and dicts (jinja/registry.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/interpreter.h"
#include "jinja/item_key.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

bool is_true(const std::optional<Value>& value) { return value && truth(*value); }

Value length(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "length");
  const auto count = length_of(subject, interpreter.meter());
  if (!count) throw Failure(fmt::format("object of type '{}' has no len()", subject.type_name()));
  return *count;
}

Value first(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "first");
  Sequence* sequence = subject.sequence_or_null();
  if (sequence != nullptr && sequence->flavor == Flavor::kIterator) {
    if (sequence->next < sequence->items.size()) return sequence->items[sequence->next++];
  } else {
    const std::vector<Value> items = iterate(subject, interpreter.meter());
    if (!items.empty()) return items.front();
  }
  return Value::undefined("No first item, sequence was empty.");
}

void require_reversible(const Value& subject) {
  const bool reversible =
      subject.is_text() || subject.is_undefined() || subject.dict_or_null() != nullptr ||
      (subject.sequence_or_null() != nullptr && !subject.is_sequence(Flavor::kIterator));
  if (!reversible) {
    throw Failure(fmt::format("'{}' object is not reversible", subject.type_name()));
  }
}

Value last(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "last");
  require_reversible(subject);
  const std::vector<Value> items = iterate(subject, interpreter.meter());
  if (!items.empty()) return items.back();
  return Value::undefined("No last item, sequence was empty.");
}

Value to_list(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "list");
  return Value::list(iterate(subject, interpreter.meter()));
}

Value reverse(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "reverse");
  std::vector<Value> items = iterate(subject, interpreter.meter());
  std::reverse(items.begin(), items.end());
  if (!subject.is_text()) return Value::iterator(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.bytes();
  return {std::move(text), subject.text_or_null()->safe};
}

Value join_filter(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"d", "attribute"}, "join");
  Meter& meter = interpreter.meter();
  const std::string between = bound[0] ? to_text(*bound[0], meter) : "";
  const ItemKey key(interpreter, bound[1], false);
  std::string out;
  bool begun = false;
  for (const Value& item : iterate(subject, meter)) {
    const std::string piece = (begun ? between : "") + to_text(key.of(item), meter);
    meter.check_text(out.size() + piece.size());
    out += piece;
    begun = true;
  }
  meter.allocate(out.size());
  return out;
}

Value default_value(Interpreter&, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"default_value", "boolean"}, "default");
  if (!subject.is_undefined() && (!is_true(bound[1]) || truth(subject))) return subject;
  return bound[0] ? *bound[0] : Value("");
}

Value items(Interpreter&, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "items");
  std::vector<Value> pairs;
  if (const Dict* dict = subject.dict_or_null()) {
    for (const auto& [key, value] : dict->entries) pairs.push_back(Value::tuple({key, value}));
  } else if (!subject.is_undefined()) {
    throw Failure("Can only get item pairs from a mapping.");
  }
  return Value::iterator(std::move(pairs));
}

// As sorted() takes `reverse`: an int or a bool, nothing else.
bool is_reversed(const std::optional<Value>& value) { return value && as_index(*value) != 0; }

struct Keyed {
  Value key;
  Value item;
};

// Stable, also when reversed, as Python's sorted().
std::vector<Value> sorted(std::vector<Keyed> keyed, bool reversed, Meter& meter) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reversed ? less(b.key, a.key, meter) : less(a.key, b.key, meter);
  });
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (Keyed& entry : keyed) out.push_back(std::move(entry.item));
  return out;
}

Value sort(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"reverse", "case_sensitive", "attribute"}, "sort");
  const ItemKey key(interpreter, bound[2], !is_true(bound[1]), true);
  std::vector<Keyed> keyed;
  for (Value& item : iterate(subject, interpreter.meter())) {
    keyed.push_back({key.of(item), std::move(item)});
  }
  return Value::list(sorted(std::move(keyed), is_reversed(bound[0]), interpreter.meter()));
}

Value dictsort(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"case_sensitive", "by", "reverse"}, "dictsort");
  const std::string by = bound[1] ? to_text(*bound[1], interpreter.meter()) : "key";
  if (by != "key" && by != "value") {
    throw Failure("You can only sort by either \"key\" or \"value\"");
  }
  require_defined(subject);
  const Dict* dict = subject.dict_or_null();
  if (dict == nullptr) {
    throw Failure(fmt::format("dictsort wants a mapping, not '{}'", subject.type_name()));
  }
  const ItemKey key(interpreter, std::nullopt, !is_true(bound[0]));
  std::vector<Keyed> keyed;
  for (const auto& entry : dict->entries) {
    keyed.push_back({key.of(by == "key" ? entry.first : entry.second),
                     Value::tuple({entry.first, entry.second})});
  }
  return Value::list(sorted(std::move(keyed), is_reversed(bound[2]), interpreter.meter()));
}

Value unique(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"case_sensitive", "attribute"}, "unique");
  const ItemKey key(interpreter, bound[1], !is_true(bound[0]));
  Dict seen;
  std::vector<Value> kept;
  for (Value& item : iterate(subject, interpreter.meter())) {
    Value wanted = key.of(item);
    if (!wanted.is_undefined()) require_key(wanted);
    if (find_key(seen, wanted, interpreter.meter()) != nullptr) continue;
    seen.entries.emplace_back(std::move(wanted), Value());
    kept.push_back(std::move(item));
  }
  return Value::iterator(std::move(kept));
}

Value extreme(Interpreter& interpreter, const Value& subject, Arguments& arguments, bool largest) {
  const auto bound = bind(arguments, {"case_sensitive", "attribute"}, "min and max");
  const ItemKey key(interpreter, bound[1], !is_true(bound[0]));
  const std::vector<Value> all = iterate(subject, interpreter.meter());
  if (all.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  std::size_t best = 0;
  Value best_key = key.of(all.front());
  for (std::size_t i = 1; i < all.size(); ++i) {
    Value item_key = key.of(all[i]);
    const bool better = largest ? less(best_key, item_key, interpreter.meter())
                                : less(item_key, best_key, interpreter.meter());
    if (!better) continue;
    best = i;
    best_key = std::move(item_key);
  }
  return all[best];
}

Value smallest(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return extreme(interpreter, subject, arguments, false);
}
Value largest(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return extreme(interpreter, subject, arguments, true);
}

Value sum(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"attribute", "start"}, "sum");
  const ItemKey key(interpreter, bound[0], false);
  Value total = bound[1] ? *bound[1] : Value(0);
  for (const Value& item : iterate(subject, interpreter.meter())) {
    total = arithmetic("+", total, key.of(item), interpreter.meter());
  }
  return total;
}

Value batch(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"linecount", "fill_with"}, "batch");
  if (!bound[0]) throw Failure("batch wants a count");
  const auto count = as_index(*bound[0]);
  std::vector<Value> lines;
  std::vector<Value> line;
  for (Value& item : iterate(subject, interpreter.meter())) {
    if (static_cast<std::int64_t>(line.size()) == count) {
      lines.push_back(Value::list(std::exchange(line, {})));
    }
    line.push_back(std::move(item));
  }
  if (!line.empty()) {
    const bool fill = bound[1] && !bound[1]->is_none();
    while (fill && static_cast<std::int64_t>(line.size()) < count) {
      interpreter.meter().allocate(sizeof(Value));
      line.push_back(*bound[1]);
    }
    lines.push_back(Value::list(std::move(line)));
  }
  return Value::iterator(std::move(lines));
}

Value attribute(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"name"}, "attr");
  if (!bound[0] || !bound[0]->is_text()) throw Failure("attr wants a name");
  const std::string& name = bound[0]->bytes();
  if (subject.dict_or_null() == nullptr) return interpreter.attribute(subject, name);
  if (auto method = find_method(subject, name)) return std::move(*method);  // never an entry
  return Value::undefined(fmt::format("'dict object' has no attribute '{}'", name));
}

}  // namespace

const std::vector<NamedFilter>& sequence_filters() {
  static const std::vector<NamedFilter> kFilters = {
      {"length", length},   {"count", length},    {"first", first},      {"last", last},
      {"list", to_list},    {"reverse", reverse}, {"join", join_filter}, {"default", default_value},
      {"d", default_value}, {"items", items},     {"sort", sort},        {"dictsort", dictsort},
      {"unique", unique},   {"min", smallest},    {"max", largest},      {"sum", sum},
      {"batch", batch},     {"attr", attribute},
  };
  return kFilters;
}

}  // namespace loadline::jinja
