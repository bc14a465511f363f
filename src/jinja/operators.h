// Python's operators on values. What Python refuses is a Failure that names both types.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace loadline::jinja {

// Throw Failure beyond 128 bits.
Integer plus(Integer a, Integer b);
Integer times(Integer a, Integer b);

// op: + - * / // % **
Value arithmetic(std::string_view op, const Value& left, const Value& right, Meter& meter);
Value negative(const Value& value);
Value positive(const Value& value);

bool equal(const Value& left, const Value& right, Meter& meter);
bool less(const Value& left, const Value& right, Meter& meter);
// op: == != < <= > >= in, not in
bool compare(std::string_view op, const Value& left, const Value& right, Meter& meter);
bool contains(const Value& container, const Value& item, Meter& meter);

// Fails for what cannot be a key: lists, dicts.
void require_key(const Value& key);
const Value* find_key(const Dict& dict, const Value& key, Meter& meter);
// A dict of `entries`, a later one replacing an earlier one with the same key.
Value make_dict(std::vector<std::pair<Value, Value>> entries, Meter& meter);

// subject[key] as Python has it; nullopt where it raises TypeError, KeyError or IndexError.
std::optional<Value> item(const Value& subject, const Value& key, Meter& meter);
// subject[begin:end:step], each None when absent.
Value slice(const Value& subject, const Value& begin, const Value& end, const Value& step,
            Meter& meter);

// "..." % arguments: %s %r %d %i %f %e %g %x %X %o %c %%, with flags, width and precision.
Value percent_format(const Value& pattern, const Value& arguments, Meter& meter);

// As an index or a count: an int. Fails "'str' object cannot be interpreted as an integer".
std::int64_t as_index(const Value& value);

}  // namespace loadline::jinja
