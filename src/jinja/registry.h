// The filters, tests, functions and methods that a template can name.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace loadline::jinja {

using Filter = Value (*)(Interpreter&, const Value& subject, Arguments& arguments);
using Test = bool (*)(Interpreter&, const Value& subject, Arguments& arguments);

struct NamedFilter {
  std::string_view name;
  Filter filter;
};
struct NamedTest {
  std::string_view name;
  Test test;
};

// nullptr when there is none of this name.
Filter find_filter(std::string_view name);
Test find_test(std::string_view name);

const std::vector<NamedFilter>& text_filters();
const std::vector<NamedFilter>& sequence_filters();
const std::vector<NamedFilter>& selection_filters();

// range, dict, namespace, joiner, raise_exception, strftime_now; undefined otherwise.
std::optional<Value> find_function(std::string_view name);
// strftime_now as it is at the beginning of that day.
Value strftime_of(std::chrono::year_month_day day);

// A function as a value. `depth`: how deep the values nest that it holds on to.
Value make_function(std::string_view name, int depth,
                    std::function<Value(Interpreter&, Arguments&)> call);

// A method of a text, a list, a dict ... bound to it, or nullopt when Python has none of the name.
// One that would change its value is undefined: it fails when called.
std::optional<Value> find_method(const Value& self, std::string_view name);

// Arguments put to their parameters' places. Throws Failure for too many, an unknown or a double
// one.
std::vector<std::optional<Value>> bind(const Arguments& arguments,
                                       std::initializer_list<std::string_view> parameters,
                                       std::string_view function);

}  // namespace loadline::jinja
