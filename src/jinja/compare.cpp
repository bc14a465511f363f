#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jinja/operators.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

constexpr double kIntegersEnd = 170141183460469231731687303715884105728.0;  // 2^127

// -1, 0 or 1; 2 when one of them is not a number. Exact: an int is not rounded to a double.
int order_of(const Value& left, const Value& right) {
  const auto sign = [](auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; };
  if (left.is_integer() && right.is_integer()) return sign(left.integer(), right.integer());
  if (left.is_float() && right.is_float()) {
    if (std::isnan(left.number()) || std::isnan(right.number())) return 2;
    return sign(left.number(), right.number());
  }
  if (left.is_integer()) {
    const int turned = order_of(right, left);
    return turned == 2 ? 2 : -turned;
  }
  const double number = left.number();
  if (std::isnan(number)) return 2;
  if (number >= kIntegersEnd) return 1;
  if (number < -kIntegersEnd) return -1;
  const double whole = std::trunc(number);
  const int order = sign(static_cast<Integer>(whole), right.integer());
  return order != 0 ? order : sign(number - whole, 0.0);
}

bool equal_items(const std::vector<Value>& left, const std::vector<Value>& right, Meter& meter) {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(),
                    [&](const Value& a, const Value& b) { return equal(a, b, meter); });
}

bool equal_sequences(const Sequence& left, const Sequence& right, Meter& meter) {
  if (&left == &right) return true;
  if (left.flavor != right.flavor || left.flavor == Flavor::kIterator ||
      left.flavor == Flavor::kDictValues) {
    return false;
  }
  return equal_items(left.items, right.items, meter);
}

bool equal_dicts(const Dict& left, const Dict& right, Meter& meter) {
  if (left.entries.size() != right.entries.size()) return false;
  return std::all_of(left.entries.begin(), left.entries.end(), [&](const auto& entry) {
    const Value* other = find_key(right, entry.first, meter);
    return other != nullptr && equal(entry.second, *other, meter);
  });
}

bool orders(const Value& value) {
  return value.is_sequence(Flavor::kList) || value.is_sequence(Flavor::kTuple);
}

// Python's three-way order of things that have one.
int sequence_order(const Value& left, const Value& right, Meter& meter) {
  const auto& a = left.sequence_or_null()->items;
  const auto& b = right.sequence_or_null()->items;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (equal(a[i], b[i], meter)) continue;
    return less(a[i], b[i], meter) ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

bool ordered(std::string_view op, int order) {
  if (order == 2) return false;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

bool in_order(std::string_view op, const Value& left, const Value& right, Meter& meter) {
  meter.step();
  require_defined(left);
  require_defined(right);
  if (left.is_number() && right.is_number()) return ordered(op, order_of(left, right));
  if (left.is_text() && right.is_text()) {
    meter.touch(std::min(left.bytes().size(), right.bytes().size()));
    const int order = left.bytes().compare(right.bytes());  // UTF-8 keeps the order of code points
    return ordered(op, order < 0 ? -1 : order > 0 ? 1 : 0);
  }
  if (orders(left) && orders(right) &&
      left.sequence_or_null()->flavor == right.sequence_or_null()->flavor) {
    return ordered(op, sequence_order(left, right, meter));
  }
  throw Failure(fmt::format("'{}' not supported between instances of '{}' and '{}'", op,
                            left.type_name(), right.type_name()));
}

}  // namespace

bool equal(const Value& left, const Value& right, Meter& meter) {
  meter.step();
  if (left.is_number() && right.is_number()) return order_of(left, right) == 0;
  if (left.is_text() && right.is_text()) {
    meter.touch(std::min(left.bytes().size(), right.bytes().size()));
    return left.bytes() == right.bytes();
  }
  if (left.is_none() || right.is_none()) return left.is_none() && right.is_none();
  if (left.is_undefined() || right.is_undefined()) {
    return left.is_undefined() && right.is_undefined();
  }
  const Sequence* left_items = left.sequence_or_null();
  const Sequence* right_items = right.sequence_or_null();
  if (left_items != nullptr && right_items != nullptr) {
    return equal_sequences(*left_items, *right_items, meter);
  }
  const Dict* left_dict = left.dict_or_null();
  const Dict* right_dict = right.dict_or_null();
  if (left_dict != nullptr && right_dict != nullptr)
    return equal_dicts(*left_dict, *right_dict, meter);
  return left.identity() != nullptr && left.identity() == right.identity();
}

bool less(const Value& left, const Value& right, Meter& meter) {
  return in_order("<", left, right, meter);
}

bool compare(std::string_view op, const Value& left, const Value& right, Meter& meter) {
  if (op == "==") return equal(left, right, meter);
  if (op == "!=") return !equal(left, right, meter);
  if (op == "in") return contains(right, left, meter);
  if (op == "not in") return !contains(right, left, meter);
  return in_order(op, left, right, meter);
}

bool contains(const Value& container, const Value& wanted, Meter& meter) {
  if (const Text* text = container.text_or_null()) {
    require_defined(wanted);
    if (!wanted.is_text()) {
      throw Failure(
          fmt::format("'in <string>' requires string as left operand, not {}", wanted.type_name()));
    }
    meter.touch(text->bytes.size());
    return find_bytes(text->bytes, wanted.bytes()) != std::string_view::npos;
  }
  if (const Dict* dict = container.dict_or_null()) {
    require_key(wanted);
    return find_key(*dict, wanted, meter) != nullptr;
  }
  if (!is_iterable(container)) {
    throw Failure(fmt::format("argument of type '{}' is not iterable", container.type_name()));
  }
  if (Sequence* sequence = container.sequence_or_null()) {
    const bool once = sequence->flavor == Flavor::kIterator;
    for (std::size_t i = sequence->next; i < sequence->items.size(); ++i) {
      if (once) sequence->next = i + 1;
      if (equal(sequence->items[i], wanted, meter)) return true;
    }
  }
  return false;
}

void require_key(const Value& key) {
  const Sequence* sequence = key.sequence_or_null();
  if (key.dict_or_null() != nullptr || (sequence != nullptr && sequence->flavor == Flavor::kList)) {
    throw Failure(fmt::format("unhashable type: '{}'", key.type_name()));
  }
  if (sequence == nullptr || sequence->flavor != Flavor::kTuple) return;
  for (const Value& part : sequence->items) require_key(part);
}

const Value* find_key(const Dict& dict, const Value& key, Meter& meter) {
  for (const auto& entry : dict.entries) {
    if (equal(entry.first, key, meter)) return &entry.second;
  }
  return nullptr;
}

Value make_dict(std::vector<std::pair<Value, Value>> entries, Meter& meter) {
  Dict unique;
  for (auto& entry : entries) {
    require_key(entry.first);
    meter.allocate(sizeof(entry));
    const Value* known = find_key(unique, entry.first, meter);
    if (known == nullptr) {
      unique.entries.push_back(std::move(entry));
    } else {
      *const_cast<Value*>(known) = std::move(entry.second);
    }
  }
  return Value::dict(std::move(unique.entries));
}

}  // namespace loadline::jinja
