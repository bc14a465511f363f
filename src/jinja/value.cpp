#include "jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/text.h"

namespace loadline::jinja {
namespace {

int deepest(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth;
}

int checked_depth(int inner) {
  if (inner >= Value::kDeepest) {
    throw Failure(fmt::format("values nested deeper than {} levels", Value::kDeepest));
  }
  return inner + 1;
}

}  // namespace

void Meter::step(std::int64_t count) {
  steps_ += count;
  if (steps_ > kSteps) {
    throw Failure(
        fmt::format("the template did more than {} steps. Does it loop without need?", kSteps));
  }
}

void Meter::allocate(std::size_t count) {
  touch(count);
  bytes_ += static_cast<std::int64_t>(count);
  if (bytes_ > kBytes) {
    throw Failure(fmt::format("the template made more than {} MiB of values", kBytes >> 20));
  }
}

void Meter::check_text(std::size_t size) const {
  if (size > static_cast<std::size_t>(kLongestText)) {
    throw Failure(
        fmt::format("a text of {} bytes is longer than the {} MiB that a template may make", size,
                    kLongestText >> 20));
  }
}

Value Value::undefined(std::string message) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(message))};
  return value;
}

Value Value::of(Flavor flavor, std::vector<Value> items) {
  auto sequence = std::make_shared<Sequence>();
  sequence->flavor = flavor;
  sequence->depth = checked_depth(deepest(items));
  sequence->items = std::move(items);
  return sequence;
}

Value Value::dict(std::vector<std::pair<Value, Value>> entries) {
  auto dict = std::make_shared<Dict>();
  int depth = 0;
  for (const auto& [key, value] : entries) depth = std::max({depth, key.depth(), value.depth()});
  dict->depth = checked_depth(depth);
  dict->entries = std::move(entries);
  return std::shared_ptr<const Dict>(std::move(dict));
}

bool Value::is_sequence(Flavor flavor) const {
  const Sequence* sequence = sequence_or_null();
  return sequence != nullptr && sequence->flavor == flavor;
}

Integer Value::integer() const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  return std::get<Integer>(data_);
}

double Value::number() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
}

const std::string& Value::undefined_message() const { return *std::get<Undefined>(data_).message; }

int Value::depth() const {
  if (const Sequence* sequence = sequence_or_null()) return sequence->depth;
  if (const Dict* dict = dict_or_null()) return dict->depth;
  if (const Callable* callable = callable_or_null()) return callable->depth;
  if (const Loop* loop = loop_or_null()) return loop->depth;
  return 0;
}

std::string Value::type_name() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (const Text* text = text_or_null()) return text->safe ? "Markup" : "str";
  if (dict_or_null() != nullptr) return "dict";
  if (namespace_or_null() != nullptr) return "Namespace";
  if (const Callable* callable = callable_or_null()) return callable->kind;
  if (loop_or_null() != nullptr) return "LoopContext";
  switch (sequence_or_null()->flavor) {
    case Flavor::kList:
      return "list";
    case Flavor::kTuple:
      return "tuple";
    case Flavor::kRange:
      return "range";
    case Flavor::kDictKeys:
      return "dict_keys";
    case Flavor::kDictValues:
      return "dict_values";
    case Flavor::kDictItems:
      return "dict_items";
    case Flavor::kIterator:
      break;
  }
  return "generator";
}

const void* Value::identity() const {
  if (const Text* text = text_or_null()) return text;
  if (const Sequence* sequence = sequence_or_null()) return sequence;
  if (const Dict* dict = dict_or_null()) return dict;
  if (const Namespace* space = namespace_or_null()) return space;
  if (const Callable* callable = callable_or_null()) return callable;
  return loop_or_null();
}

bool truth(const Value& value) {
  if (value.is_none() || value.is_undefined()) return false;
  if (value.is_integer()) return value.integer() != 0;
  if (value.is_float()) return value.number() != 0;
  if (const Text* text = value.text_or_null()) return !text->bytes.empty();
  if (const Dict* dict = value.dict_or_null()) return !dict->entries.empty();
  if (const Sequence* sequence = value.sequence_or_null()) {
    return sequence->flavor == Flavor::kIterator || !sequence->items.empty();
  }
  if (const Loop* loop = value.loop_or_null()) return !loop->items.empty();
  return true;
}

std::vector<Value> iterate(const Value& value, Meter& meter) {
  if (value.is_undefined()) return {};
  std::vector<Value> items;
  if (Sequence* sequence = value.sequence_or_null()) {
    meter.allocate(sequence->items.size() * sizeof(Value));
    items.assign(sequence->items.begin() + static_cast<std::ptrdiff_t>(sequence->next),
                 sequence->items.end());
    if (sequence->flavor == Flavor::kIterator) sequence->next = sequence->items.size();
    return items;
  }
  if (const Dict* dict = value.dict_or_null()) {
    meter.allocate(dict->entries.size() * sizeof(Value));
    for (const auto& entry : dict->entries) items.push_back(entry.first);
    return items;
  }
  if (const Text* text = value.text_or_null()) {
    for (const std::string_view point : code_points(text->bytes)) {
      meter.allocate(sizeof(Value) + sizeof(Text));
      items.emplace_back(std::string(point));
    }
    return items;
  }
  throw Failure(fmt::format("'{}' object is not iterable", value.type_name()));
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.dict_or_null() != nullptr ||
         value.sequence_or_null() != nullptr || value.loop_or_null() != nullptr;
}

std::optional<std::size_t> length_of(const Value& value, Meter& meter) {
  if (value.is_undefined()) return 0;
  if (const Text* text = value.text_or_null()) {
    meter.touch(text->bytes.size());
    return code_point_count(text->bytes);
  }
  if (const Dict* dict = value.dict_or_null()) return dict->entries.size();
  if (const Loop* loop = value.loop_or_null()) return loop->items.size();
  const Sequence* sequence = value.sequence_or_null();
  if (sequence == nullptr || sequence->flavor == Flavor::kIterator) return std::nullopt;
  return sequence->items.size();
}

void fail_undefined(const Value& value) { throw Failure(value.undefined_message()); }

void require_defined(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
}

}  // namespace loadline::jinja
