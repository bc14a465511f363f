// Subscripts, slices and % formatting (jinja/operators.h).
#include <fmt/format.h>
#include <fmt/printf.h>

#include <algorithm>
#include <limits>

#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

// Counted from the end when negative; nullopt outside.
std::optional<std::size_t> position(Integer index, std::size_t size) {
  const auto count = static_cast<Integer>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return static_cast<std::size_t>(index);
}

bool has_items(const Sequence& sequence) {
  return sequence.flavor == Flavor::kList || sequence.flavor == Flavor::kTuple ||
         sequence.flavor == Flavor::kRange;
}

struct Span {
  Integer begin = 0;
  Integer end = 0;
  Integer step = 1;
  std::size_t count = 0;
};

Integer bound(const Value& value, Integer missing, Integer low, Integer high, Integer size) {
  if (value.is_none()) return missing;
  require_defined(value);
  if (!value.is_integer()) {
    throw Failure("slice indices must be integers or None or have an __index__ method");
  }
  Integer index = value.integer();
  if (index < 0) index += size;
  return std::clamp(index, low, high);
}

Span span_of(const Value& begin, const Value& end, const Value& step, std::size_t length) {
  const auto size = static_cast<Integer>(length);
  constexpr Integer kFar = Integer{1} << 100;
  Span span;
  span.step = bound(step, 1, -kFar, kFar, 0);
  if (span.step == 0) throw Failure("slice step cannot be zero");
  const bool forward = span.step > 0;
  const Integer low = forward ? 0 : -1;
  const Integer high = forward ? size : size - 1;
  span.begin = bound(begin, forward ? low : high, low, high, size);
  span.end = bound(end, forward ? high : low, low, high, size);
  const Integer distance = forward ? span.end - span.begin : span.begin - span.end;
  const Integer stride = forward ? span.step : -span.step;
  if (distance > 0) span.count = static_cast<std::size_t>((distance + stride - 1) / stride);
  return span;
}

std::size_t place(const Span& span, std::size_t i) {
  return static_cast<std::size_t>(span.begin + static_cast<Integer>(i) * span.step);
}

Value slice_text(const Text& text, const Value& begin, const Value& end, const Value& step,
                 Meter& meter) {
  meter.allocate(text.bytes.size() / 2);
  const std::size_t length = code_point_count(text.bytes);
  const Span span = span_of(begin, end, step, length);
  const bool forward = span.step > 0;
  std::string_view rest = text.bytes;
  Integer at = forward ? 0 : static_cast<Integer>(length) - 1;
  std::string out;
  for (std::size_t taken = 0; taken < span.count; at += forward ? 1 : -1) {
    const std::size_t size = forward ? first_point(rest).size : last_point_size(rest);
    const std::string_view point = rest.substr(forward ? 0 : rest.size() - size, size);
    if (at == static_cast<Integer>(place(span, taken))) {
      out += point;
      ++taken;
    }
    rest = rest.substr(forward ? size : 0, rest.size() - size);
  }
  return {std::move(out), text.safe};
}

}  // namespace

std::optional<Value> item(const Value& subject, const Value& key, Meter& meter) {
  require_defined(subject);
  if (const Dict* dict = subject.dict_or_null()) {
    if (key.dict_or_null() != nullptr) return std::nullopt;
    const Value* found = find_key(*dict, key, meter);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!key.is_integer()) return std::nullopt;
  if (const Text* text = subject.text_or_null()) {
    meter.touch(text->bytes.size());
    const auto at = position(key.integer(), code_point_count(text->bytes));
    if (!at) return std::nullopt;
    std::string_view rest = text->bytes;
    for (std::size_t i = 0; i < *at; ++i) rest.remove_prefix(first_point(rest).size);
    return Value(std::string(rest.substr(0, first_point(rest).size)), text->safe);
  }
  const Sequence* sequence = subject.sequence_or_null();
  if (sequence == nullptr || !has_items(*sequence)) return std::nullopt;
  const auto at = position(key.integer(), sequence->items.size());
  return at ? std::optional<Value>(sequence->items[*at]) : std::nullopt;
}

Value slice(const Value& subject, const Value& begin, const Value& end, const Value& step,
            Meter& meter) {
  require_defined(subject);
  if (const Text* text = subject.text_or_null()) return slice_text(*text, begin, end, step, meter);
  const Sequence* sequence = subject.sequence_or_null();
  if (sequence == nullptr || !has_items(*sequence)) {
    throw Failure(
        fmt::format("'{}' object is not subscriptable with a slice", subject.type_name()));
  }
  const Span span = span_of(begin, end, step, sequence->items.size());
  meter.allocate(span.count * sizeof(Value));
  std::vector<Value> items;
  items.reserve(span.count);
  for (std::size_t i = 0; i < span.count; ++i) items.push_back(sequence->items[place(span, i)]);
  Value made = Value::of(sequence->flavor, std::move(items));
  if (sequence->flavor == Flavor::kRange) {
    Sequence& range = *made.sequence_or_null();
    range.stride = times(sequence->stride, span.step);
    range.start = plus(sequence->start, times(span.begin, sequence->stride));
    range.stop = plus(sequence->start, times(span.end, sequence->stride));
  }
  return made;
}

std::int64_t as_index(const Value& value) {
  require_defined(value);
  if (!value.is_integer()) {
    throw Failure(
        fmt::format("'{}' object cannot be interpreted as an integer", value.type_name()));
  }
  constexpr Integer kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::clamp(value.integer(), -kMost, kMost));
}

}  // namespace loadline::jinja
