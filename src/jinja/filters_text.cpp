// Filters that make or change texts and numbers (jinja/registry.h).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/json.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/parse_number.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

// A text of the subject that stays Markup if it was.
Value like(const Value& subject, std::string text, Meter& meter) {
  meter.check_text(text.size());
  meter.allocate(text.size());
  return {std::move(text), subject.is_text() && subject.text_or_null()->safe};
}

std::string text_of(Interpreter& interpreter, const Value& subject) {
  return to_text(subject, interpreter.meter());
}

template <std::string (*change)(std::string_view)>
Value change_filter(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "this filter");
  return like(subject, change(text_of(interpreter, subject)), interpreter.meter());
}

Value trim(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"chars"}, "trim");
  const std::string text = text_of(interpreter, subject);
  if (!bound[0] || bound[0]->is_none()) {
    return like(subject, std::string(strip(text, true, true)), interpreter.meter());
  }
  if (!bound[0]->is_text()) throw Failure("trim: chars must be a string");
  const std::string& set = bound[0]->bytes();
  interpreter.meter().touch(text.size() * (1 + set.size() / 16));
  return like(subject, std::string(strip(text, true, true, &set)), interpreter.meter());
}

Value to_string(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "string");
  return subject.is_text() ? subject : Value(text_of(interpreter, subject));
}

Value safe(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "safe");
  return {text_of(interpreter, subject), true};
}

Value escape(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "escape");
  if (subject.is_text() && subject.text_or_null()->safe) return subject;
  std::string text = escape_html(text_of(interpreter, subject));
  interpreter.meter().allocate(text.size());
  return {std::move(text), true};
}

Value replace_filter(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"old", "new", "count"}, "replace");
  if (!bound[0] || !bound[1]) throw Failure("replace wants the old and the new text");
  const std::int64_t limit = bound[2] && !bound[2]->is_none() ? as_index(*bound[2]) : -1;
  return replace_all(text_of(interpreter, subject), text_of(interpreter, *bound[0]),
                     text_of(interpreter, *bound[1]), limit, interpreter.meter());
}

Value indent(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"width", "first", "blank"}, "indent");
  if (!subject.is_text()) {
    throw Failure(fmt::format("indent wants a text, not '{}'", subject.type_name()));
  }
  Meter& meter = interpreter.meter();
  std::string margin(4, ' ');
  if (bound[0] && bound[0]->is_text()) {
    margin = bound[0]->bytes();
  } else if (bound[0]) {
    const std::int64_t width = std::max<std::int64_t>(as_index(*bound[0]), 0);
    meter.check_text(static_cast<std::size_t>(width));
    margin.assign(static_cast<std::size_t>(width), ' ');
  }
  const bool blank = bound[2] && truth(*bound[2]);
  std::string out = bound[1] && truth(*bound[1]) ? margin : "";
  bool first = true;
  for (const std::string& line : split_lines(subject.bytes() + "\n")) {
    if (!first) out += '\n';
    if (!first && (blank || !line.empty())) out += margin;
    out += line;
    first = false;
    meter.touch(line.size() + margin.size());
    meter.check_text(out.size());
  }
  return like(subject, std::move(out), meter);
}

Value center(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"width"}, "center");
  const std::string text = text_of(interpreter, subject);
  const std::int64_t width = bound[0] ? as_index(*bound[0]) : 80;
  const std::int64_t fill = width - static_cast<std::int64_t>(code_point_count(text));
  if (fill <= 0) return like(subject, text, interpreter.meter());
  interpreter.meter().check_text(static_cast<std::size_t>(fill));
  const std::int64_t left = fill / 2 + (fill & width & 1);
  return like(subject,
              std::string(static_cast<std::size_t>(left), ' ') + text +
                  std::string(static_cast<std::size_t>(fill - left), ' '),
              interpreter.meter());
}

Value format(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    throw Failure("format takes positional or named arguments, not both");
  }
  Value given = Value::tuple(arguments.positional);
  if (!arguments.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [name, value] : arguments.named) entries.emplace_back(name, value);
    given = Value::dict(std::move(entries));
  }
  return percent_format(like(subject, text_of(interpreter, subject), interpreter.meter()), given,
                        interpreter.meter());
}

Value to_json_text(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound =
      bind(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, "tojson");
  JsonStyle style;
  style.ensure_ascii = bound[0] && truth(*bound[0]);
  style.sort_keys = bound[3] && truth(*bound[3]);
  if (bound[1] && !bound[1]->is_none()) {
    style.on_lines = true;
    style.item_separator = std::string(1, ',');
    if (bound[1]->is_text()) {
      style.indent = bound[1]->bytes();
    } else {
      const std::int64_t width = std::max<std::int64_t>(as_index(*bound[1]), 0);
      interpreter.meter().check_text(static_cast<std::size_t>(width));
      style.indent.assign(static_cast<std::size_t>(width), ' ');
    }
  }
  if (bound[2] && !bound[2]->is_none()) {
    const std::vector<Value> pair = iterate(*bound[2], interpreter.meter());
    if (pair.size() != 2 || !pair[0].is_text() || !pair[1].is_text()) {
      throw Failure("tojson: separators must be two strings");
    }
    style.item_separator = pair[0].bytes();
    style.key_separator = pair[1].bytes();
  }
  return to_json(subject, style, interpreter.meter());
}

Value absolute(Interpreter&, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "abs");
  require_defined(subject);
  if (!subject.is_number()) {
    throw Failure(fmt::format("bad operand type for abs(): '{}'", subject.type_name()));
  }
  if (subject.is_float()) return std::fabs(subject.number());
  return subject.integer() < 0 ? negative(subject) : positive(subject);
}

Value to_integer(Interpreter&, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"default", "base"}, "int");
  const int base = bound[1] ? static_cast<int>(as_index(*bound[1])) : 10;
  require_defined(subject);
  if (subject.is_integer()) return subject.integer();
  if (subject.is_text()) {
    if (const auto number = parse_integer(subject.bytes(), base)) return *number;
  }
  std::optional<double> number;
  if (subject.is_float()) number = subject.number();
  if (subject.is_text()) number = parse_float(subject.bytes());
  if (number && std::isinf(*number)) throw Failure("cannot convert float infinity to integer");
  if (!number || std::isnan(*number)) return bound[0] ? *bound[0] : Value(0);
  if (std::fabs(*number) > 1e38) throw Failure("an integer is beyond 128 bits");
  return static_cast<Integer>(*number);
}

Value to_float(Interpreter&, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"default"}, "float");
  require_defined(subject);
  if (subject.is_number()) return subject.number();
  if (subject.is_text()) {
    if (const auto number = parse_float(subject.bytes())) return *number;
  }
  return bound[0] ? *bound[0] : Value(0.0);
}

// Python's round() works on the exact binary value, ties to even, as printf does.
double round_to(double number, std::int64_t precision) {
  if (!std::isfinite(number)) return number;
  if (precision > 323) return number;
  if (precision >= 0) {
    // Not stod, which throws for what is below the smallest normal number.
    return std::strtod(fmt::format("{:.{}f}", number, static_cast<int>(precision)).c_str(),
                       nullptr);
  }
  if (precision < -308) return std::copysign(0.0, number);
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  const double rounded = std::nearbyint(number / unit) * unit;
  if (std::isinf(rounded)) throw Failure("rounded value too large to represent");
  return rounded;
}

Value round_integer(Integer number, std::int64_t precision) {
  if (precision >= 0) return number;
  if (precision < -37) return Integer{0};
  Integer unit = 1;
  for (std::int64_t i = 0; i < -precision; ++i) unit *= 10;
  Integer quotient = number / unit;
  const Integer rest = number % unit;
  const Integer twice = (rest < 0 ? -rest : rest) - (unit - (rest < 0 ? -rest : rest));
  if (twice > 0 || (twice == 0 && quotient % 2 != 0)) quotient += number < 0 ? -1 : 1;
  return times(quotient, unit);
}

Value round_number(Interpreter&, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"precision", "method"}, "round");
  const std::int64_t precision = bound[0] ? as_index(*bound[0]) : 0;
  const std::string method = bound[1] && bound[1]->is_text() ? bound[1]->bytes() : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Failure("method must be common, ceil or floor");
  }
  require_defined(subject);
  if (!subject.is_number()) {
    throw Failure(fmt::format("type {} doesn't define __round__ method", subject.type_name()));
  }
  if (method == "common") {
    if (subject.is_integer()) return round_integer(subject.integer(), precision);
    return round_to(subject.number(), precision);
  }
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.number() * unit;
  if (!std::isfinite(scaled)) throw Failure("cannot convert float infinity or NaN to integer");
  // Python's are integers, and know no -0.
  return ((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) + 0.0) / unit;
}

}  // namespace

const std::vector<NamedFilter>& text_filters() {
  static const std::vector<NamedFilter> kFilters = {
      {"upper", change_filter<to_upper>},
      {"lower", change_filter<to_lower>},
      {"capitalize", change_filter<capitalize>},
      {"title", change_filter<title_filter>},
      {"trim", trim},
      {"string", to_string},
      {"safe", safe},
      {"escape", escape},
      {"e", escape},
      {"replace", replace_filter},
      {"indent", indent},
      {"center", center},
      {"format", format},
      {"tojson", to_json_text},
      {"abs", absolute},
      {"int", to_integer},
      {"float", to_float},
      {"round", round_number},
  };
  return kFilters;
}

}  // namespace loadline::jinja
