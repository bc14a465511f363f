#include <fmt/format.h>

#include <cmath>

#include "jinja/operators.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

[[noreturn]] void fail_operands(std::string_view op, const Value& left, const Value& right) {
  throw Failure(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op,
                            left.type_name(), right.type_name()));
}

Integer checked(bool overflow, Integer result) {
  if (overflow) throw Failure("an integer is beyond 128 bits");
  return result;
}

Integer minus(Integer a, Integer b) {
  Integer difference = 0;
  const bool overflow = __builtin_sub_overflow(a, b, &difference);
  return checked(overflow, difference);
}

void require_divisor(bool zero) {
  if (zero) throw Failure("division by zero");
}

Integer floor_division(Integer a, Integer b) {
  require_divisor(b == 0);
  if (b == -1) return minus(0, a);
  const Integer quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double float_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}

double float_floor_division(double a, double b) {
  require_divisor(b == 0);
  const double quotient = (a - float_modulo(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Integer integer_power(Integer base, Integer exponent) {
  Integer result = 1;
  while (exponent > 0) {
    if (exponent % 2 != 0) result = times(result, base);
    exponent /= 2;
    if (exponent > 0) base = times(base, base);
  }
  return result;
}

double float_power(double base, double exponent) {
  if (base == 0 && exponent < 0) throw Failure("0.0 cannot be raised to a negative power");
  if (base < 0 && std::isfinite(exponent) && std::isfinite(base) &&
      exponent != std::floor(exponent)) {
    throw Failure("a root of a negative number is not real");
  }
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent)) {
    throw Failure("the result of ** is too large");
  }
  return result;
}

Value number_arithmetic(std::string_view op, const Value& left, const Value& right) {
  const bool integers = left.is_integer() && right.is_integer();
  if (integers && op != "/" && !(op == "**" && right.integer() < 0)) {
    const Integer a = left.integer();
    const Integer b = right.integer();
    if (op == "+") return plus(a, b);
    if (op == "-") return minus(a, b);
    if (op == "*") return times(a, b);
    if (op == "//") return floor_division(a, b);
    if (op == "%") return minus(a, times(floor_division(a, b), b));
    return a == 1 || a == 0 ? Value(b == 0 ? Integer{1} : a) : Value(integer_power(a, b));
  }
  const double a = left.number();
  const double b = right.number();
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return float_power(a, b);
  require_divisor(b == 0);
  if (op == "/") return a / b;
  return op == "//" ? float_floor_division(a, b) : float_modulo(a, b);
}

Value join_texts(const Text& left, const Text& right, Meter& meter) {
  meter.check_text(left.bytes.size() + right.bytes.size());
  meter.allocate(left.bytes.size() + right.bytes.size());
  if (!left.safe && !right.safe) return left.bytes + right.bytes;
  // Markup escapes what is added to it.
  const std::string a = left.safe ? left.bytes : escape_html(left.bytes);
  return {a + (right.safe ? right.bytes : escape_html(right.bytes)), true};
}

Value join_sequences(const Value& left, const Value& right, Meter& meter) {
  std::vector<Value> items = left.sequence_or_null()->items;
  const auto& more = right.sequence_or_null()->items;
  meter.allocate((items.size() + more.size()) * sizeof(Value));
  items.insert(items.end(), more.begin(), more.end());
  return Value::of(left.sequence_or_null()->flavor, std::move(items));
}

bool both(Flavor flavor, const Value& left, const Value& right) {
  return left.is_sequence(flavor) && right.is_sequence(flavor);
}

bool repeats(const Value& value) {
  return value.is_text() || value.is_sequence(Flavor::kList) || value.is_sequence(Flavor::kTuple);
}

Value repeat(const Value& value, Integer times_wanted, Meter& meter) {
  if (times_wanted < 0) times_wanted = 0;
  const std::size_t size =
      value.is_text() ? value.bytes().size() : value.sequence_or_null()->items.size();
  const std::size_t unit = value.is_text() ? 1 : sizeof(Value);
  if (size == 0) times_wanted = 0;
  if (times_wanted > Meter::kLongestText) meter.check_text(static_cast<std::size_t>(-1));
  const auto count = static_cast<std::size_t>(times_wanted);
  meter.check_text(count * size);
  meter.allocate(count * size * unit);
  if (const Text* text = value.text_or_null()) {
    std::string out;
    out.reserve(count * size);
    for (std::size_t i = 0; i < count; ++i) out += text->bytes;
    return {std::move(out), text->safe};
  }
  std::vector<Value> items;
  const Sequence& sequence = *value.sequence_or_null();
  for (std::size_t i = 0; i < count; ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return Value::of(sequence.flavor, std::move(items));
}

}  // namespace

Integer plus(Integer a, Integer b) {
  Integer sum = 0;
  const bool overflow = __builtin_add_overflow(a, b, &sum);
  return checked(overflow, sum);
}

Integer times(Integer a, Integer b) {
  Integer product = 0;
  const bool overflow = __builtin_mul_overflow(a, b, &product);
  return checked(overflow, product);
}

Value arithmetic(std::string_view op, const Value& left, const Value& right, Meter& meter) {
  if (left.is_undefined()) fail_undefined(left);
  if (op == "%" && left.is_text()) return percent_format(left, right, meter);
  if (right.is_undefined()) fail_undefined(right);
  if (left.is_number() && right.is_number()) return number_arithmetic(op, left, right);
  if (op == "+" && left.is_text() && right.is_text()) {
    return join_texts(*left.text_or_null(), *right.text_or_null(), meter);
  }
  if (op == "+" && (both(Flavor::kList, left, right) || both(Flavor::kTuple, left, right))) {
    return join_sequences(left, right, meter);
  }
  if (op == "*" && repeats(left) && right.is_integer()) return repeat(left, right.integer(), meter);
  if (op == "*" && left.is_integer() && repeats(right)) return repeat(right, left.integer(), meter);
  fail_operands(op, left, right);
}

Value negative(const Value& value) {
  require_defined(value);
  if (value.is_float()) return -value.number();
  if (!value.is_integer()) {
    throw Failure(fmt::format("bad operand type for unary -: '{}'", value.type_name()));
  }
  return minus(0, value.integer());
}

Value positive(const Value& value) {
  require_defined(value);
  if (value.is_float()) return value;
  if (!value.is_integer()) {
    throw Failure(fmt::format("bad operand type for unary +: '{}'", value.type_name()));
  }
  return value.integer();
}

}  // namespace loadline::jinja
