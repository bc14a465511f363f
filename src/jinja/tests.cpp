// What may stand after `is` (jinja/registry.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

const Value& only(const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    throw Failure("this test wants one argument");
  }
  return arguments.positional[0];
}

template <typename Check>
bool plain(const Arguments& arguments, Check check) {
  if (!arguments.positional.empty() || !arguments.named.empty()) {
    throw Failure("this test takes no argument");
  }
  return check();
}

// A test of the subject alone, as a function pointer.
#define LOADLINE_JINJA_TEST(name, condition)                            \
  bool name(Interpreter&, const Value& subject, Arguments& arguments) { \
    return plain(arguments, [&] { return condition; });                 \
  }

LOADLINE_JINJA_TEST(is_defined, !subject.is_undefined())
LOADLINE_JINJA_TEST(is_undefined, subject.is_undefined())
LOADLINE_JINJA_TEST(is_none, subject.is_none())
LOADLINE_JINJA_TEST(is_boolean, subject.is_bool())
LOADLINE_JINJA_TEST(is_true, subject.is_bool() && truth(subject))
LOADLINE_JINJA_TEST(is_false, subject.is_bool() && !truth(subject))
LOADLINE_JINJA_TEST(is_an_integer, subject.is_integer() && !subject.is_bool())
LOADLINE_JINJA_TEST(is_a_float, subject.is_float())
LOADLINE_JINJA_TEST(is_a_number, subject.is_number())
LOADLINE_JINJA_TEST(is_a_string, subject.is_text())
LOADLINE_JINJA_TEST(is_mapping, subject.dict_or_null() != nullptr)
LOADLINE_JINJA_TEST(is_it_iterable, jinja::is_iterable(subject))
LOADLINE_JINJA_TEST(is_callable, subject.callable_or_null() != nullptr || subject.is_undefined())
LOADLINE_JINJA_TEST(is_escaped, subject.is_text() && subject.text_or_null()->safe)
#undef LOADLINE_JINJA_TEST

bool is_sequence(Interpreter&, const Value& subject, Arguments& arguments) {
  return plain(arguments, [&] {
    if (subject.is_undefined() || subject.is_text() || subject.dict_or_null() != nullptr)
      return true;
    return subject.is_sequence(Flavor::kList) || subject.is_sequence(Flavor::kTuple) ||
           subject.is_sequence(Flavor::kRange);
  });
}

bool all_cased(Interpreter& interpreter, const Value& subject, bool (*wanted)(std::uint32_t)) {
  const std::string text = to_text(subject, interpreter.meter());
  bool any = false;
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    if (!is_cased(code)) continue;
    if (!wanted(code)) return false;
    any = true;
  }
  return any;
}

bool is_lower_text(Interpreter& interpreter, const Value& subject, Arguments&) {
  return all_cased(interpreter, subject, is_lower);
}
bool is_upper_text(Interpreter& interpreter, const Value& subject, Arguments&) {
  return all_cased(interpreter, subject, is_upper);
}

bool remainder_is(Interpreter& interpreter, const Value& subject, const Value& divisor, int rest) {
  const Value left = arithmetic("%", subject, divisor, interpreter.meter());
  return equal(left, Value(rest), interpreter.meter());
}

bool is_odd(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return plain(arguments, [&] { return remainder_is(interpreter, subject, Value(2), 1); });
}
bool is_even(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return plain(arguments, [&] { return remainder_is(interpreter, subject, Value(2), 0); });
}
bool is_divisible(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return remainder_is(interpreter, subject, only(arguments), 0);
}

bool is_equal(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare("==", subject, only(arguments), interpreter.meter());
}
bool is_not_equal(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare("!=", subject, only(arguments), interpreter.meter());
}
bool is_less(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare("<", subject, only(arguments), interpreter.meter());
}
bool is_at_most(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare("<=", subject, only(arguments), interpreter.meter());
}
bool is_greater(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare(">", subject, only(arguments), interpreter.meter());
}
bool is_at_least(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return compare(">=", subject, only(arguments), interpreter.meter());
}
bool is_in(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  return contains(only(arguments), subject, interpreter.meter());
}

bool is_same(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const Value& other = only(arguments);
  if (subject.identity() != nullptr || other.identity() != nullptr) {
    return subject.is_text() && other.is_text()
               ? equal(subject, other,
                       interpreter.meter())  // equal texts may well be one in Python
               : subject.identity() == other.identity();
  }
  return subject.type_name() == other.type_name() && equal(subject, other, interpreter.meter());
}

bool is_filter(Interpreter&, const Value& subject, Arguments&) {
  return subject.is_text() && find_filter(subject.bytes()) != nullptr;
}
bool is_test(Interpreter&, const Value& subject, Arguments&) {
  return subject.is_text() && find_test(subject.bytes()) != nullptr;
}

constexpr std::array<NamedTest, 39> kTests = {{{"defined", is_defined},
                                               {"undefined", is_undefined},
                                               {"none", is_none},
                                               {"boolean", is_boolean},
                                               {"true", is_true},
                                               {"false", is_false},
                                               {"integer", is_an_integer},
                                               {"float", is_a_float},
                                               {"number", is_a_number},
                                               {"string", is_a_string},
                                               {"mapping", is_mapping},
                                               {"sequence", is_sequence},
                                               {"iterable", is_it_iterable},
                                               {"callable", is_callable},
                                               {"escaped", is_escaped},
                                               {"lower", is_lower_text},
                                               {"upper", is_upper_text},
                                               {"odd", is_odd},
                                               {"even", is_even},
                                               {"divisibleby", is_divisible},
                                               {"eq", is_equal},
                                               {"equalto", is_equal},
                                               {"==", is_equal},
                                               {"ne", is_not_equal},
                                               {"!=", is_not_equal},
                                               {"lt", is_less},
                                               {"lessthan", is_less},
                                               {"<", is_less},
                                               {"le", is_at_most},
                                               {"<=", is_at_most},
                                               {"gt", is_greater},
                                               {"greaterthan", is_greater},
                                               {">", is_greater},
                                               {"ge", is_at_least},
                                               {">=", is_at_least},
                                               {"in", is_in},
                                               {"sameas", is_same},
                                               {"filter", is_filter},
                                               {"test", is_test}}};

}  // namespace

Test find_test(std::string_view name) {
  const auto* const found = std::find_if(kTests.begin(), kTests.end(),
                                         [&](const NamedTest& test) { return test.name == name; });
  return found == kTests.end() ? nullptr : found->test;
}

}  // namespace loadline::jinja
