// "..." % values (jinja/operators.h).
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

constexpr std::int64_t kWidest = 1 << 20;

struct Directive {
  bool left = false, plus = false, space = false, zero = false, alternate = false;
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
  char type = 's';
};

class PercentFormat {
 public:
  PercentFormat(std::string_view pattern, const Value& arguments, Meter& meter)
      : rest_(pattern), arguments_(arguments), meter_(meter) {
    if (arguments.is_sequence(Flavor::kTuple)) tuple_ = &arguments.sequence_or_null()->items;
  }

  std::string run() {
    while (!rest_.empty()) {
      const std::size_t percent = std::min(rest_.find('%'), rest_.size());
      add(rest_.substr(0, percent));
      rest_.remove_prefix(percent);
      if (!rest_.empty()) directive();
    }
    const bool mapping = arguments_.dict_or_null() != nullptr || arguments_.is_undefined() ||
                         arguments_.is_sequence(Flavor::kList) ||
                         arguments_.is_sequence(Flavor::kRange);
    if (tuple_ != nullptr ? used_ < tuple_->size() : used_ == 0 && !mapping) {
      throw Failure("not all arguments converted during string formatting");
    }
    return std::move(out_);
  }

 private:
  void add(std::string_view piece) {
    meter_.touch(piece.size());
    meter_.check_text(out_.size() + piece.size());
    out_ += piece;
  }

  char take() {
    if (rest_.empty()) throw Failure("incomplete format");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  Value next_argument() {
    if (tuple_ == nullptr) {
      if (used_++ > 0) throw Failure("not enough arguments for format string");
      return arguments_;
    }
    if (used_ >= tuple_->size()) throw Failure("not enough arguments for format string");
    return (*tuple_)[used_++];
  }

  std::int64_t number() {
    if (!rest_.empty() && rest_.front() == '*') {
      take();
      return as_index(next_argument());
    }
    std::int64_t value = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value = std::min(value * 10 + (take() - '0'), kWidest + 1);
    }
    return value;
  }

  void flags(Directive& directive) {
    while (!rest_.empty()) {
      switch (rest_.front()) {
        case '-':
          directive.left = true;
          break;
        case '+':
          directive.plus = true;
          break;
        case ' ':
          directive.space = true;
          break;
        case '0':
          directive.zero = true;
          break;
        case '#':
          directive.alternate = true;
          break;
        default:
          return;
      }
      take();
    }
  }

  std::optional<Value> named_argument() {
    if (rest_.empty() || rest_.front() != '(') return std::nullopt;
    const std::size_t end = rest_.find(')');
    if (end == std::string_view::npos) throw Failure("incomplete format key");
    const Value key(std::string(rest_.substr(1, end - 1)));
    rest_.remove_prefix(end + 1);
    const Dict* dict = arguments_.dict_or_null();
    if (dict == nullptr) throw Failure("format requires a mapping");
    const Value* found = find_key(*dict, key, meter_);
    if (found == nullptr) throw Failure("no key " + to_repr(key, meter_));
    ++used_;
    return *found;
  }

  void directive() {
    take();
    std::optional<Value> named = named_argument();
    Directive directive;
    flags(directive);
    directive.width = number();
    if (directive.width < 0) {
      directive.left = true;
      directive.width = -directive.width;
    }
    if (!rest_.empty() && rest_.front() == '.') {
      take();
      directive.precision = std::max<std::int64_t>(number(), 0);
    }
    if (directive.width > kWidest || directive.precision.value_or(0) > kWidest) {
      throw Failure("the width of a format is too large");
    }
    directive.type = take();
    if (directive.type == '%') return add("%");
    put(directive, named ? *named : next_argument());
  }

  void put(const Directive& directive, const Value& value) {
    switch (directive.type) {
      case 's':
      case 'r':
      case 'a': {
        const std::string text =
            directive.type == 's' ? to_text(value, meter_) : to_repr(value, meter_);
        return pad(directive, "", cut(text, directive.precision));
      }
      case 'c':
        return put_character(directive, value);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return put_integer(directive, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return put_float(directive, value);
      default:
        throw Failure(fmt::format("unsupported format character '{}'", directive.type));
    }
  }

  static std::string cut(const std::string& text, std::optional<std::int64_t> precision) {
    if (!precision) return text;
    std::string out;
    for (const std::string_view point : code_points(text)) {
      if ((*precision)-- <= 0) break;
      out += point;
    }
    return out;
  }

  void put_character(const Directive& directive, const Value& value) {
    if (value.is_text() && code_point_count(value.bytes()) == 1) {
      return pad(directive, "", value.bytes());
    }
    if (!value.is_integer()) throw Failure("%c requires int or char");
    const Integer code = value.integer();
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      throw Failure("%c arg is not a character");
    }
    std::string text;
    append_point(text, static_cast<std::uint32_t>(code));
    pad(directive, "", text);
  }

  void put_integer(const Directive& directive, const Value& value) {
    require_defined(value);
    const bool decimal = directive.type == 'd' || directive.type == 'i' || directive.type == 'u';
    if (!value.is_integer() && !(decimal && value.is_float() && std::fabs(value.number()) < 1e38)) {
      throw Failure(fmt::format("%{} format: a number is required, not {}", directive.type,
                                value.type_name()));
    }
    const Integer number =
        value.is_integer() ? value.integer() : static_cast<Integer>(value.number());
    __extension__ using Unsigned = unsigned __int128;
    const Unsigned size =
        number < 0 ? Unsigned{0} - static_cast<Unsigned>(number) : static_cast<Unsigned>(number);
    std::string digits;
    std::string prefix = sign(directive, number < 0);
    if (decimal) {
      digits = fmt::format("{}", size);
    } else {
      digits = directive.type == 'x'   ? fmt::format("{:x}", size)
               : directive.type == 'X' ? fmt::format("{:X}", size)
                                       : fmt::format("{:o}", size);
      if (directive.alternate) prefix += std::string("0") + directive.type;
    }
    const auto wanted = static_cast<std::size_t>(directive.precision.value_or(0));
    if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
    pad(directive, prefix, digits, true);
  }

  static std::string sign(const Directive& directive, bool negative) {
    if (negative) return "-";
    return directive.plus ? "+" : directive.space ? " " : "";
  }

  void put_float(const Directive& directive, const Value& value) {
    require_defined(value);
    if (!value.is_number()) {
      throw Failure(fmt::format("must be real number, not {}", value.type_name()));
    }
    const double number = value.number();
    const std::string pattern = std::string(directive.alternate ? "%#.*" : "%.*") + directive.type;
    const int precision = static_cast<int>(directive.precision.value_or(6));
    std::string digits(static_cast<std::size_t>(precision) + 400, '\0');
    const int size =
        std::snprintf(digits.data(), digits.size(), pattern.c_str(), precision, std::fabs(number));
    digits.resize(static_cast<std::size_t>(std::max(size, 0)));
    pad(directive, sign(directive, std::signbit(number) && !std::isnan(number)), digits, true);
  }

  void pad(const Directive& directive, const std::string& prefix, const std::string& text,
           bool number = false) {
    const auto size = static_cast<std::int64_t>(prefix.size() + code_point_count(text));
    const std::string fill(
        static_cast<std::size_t>(std::max<std::int64_t>(directive.width - size, 0)),
        number && directive.zero && !directive.left ? '0' : ' ');
    if (directive.left) return add(prefix + text + fill);
    if (number && directive.zero) return add(prefix + fill + text);
    add(fill + prefix + text);
  }

  std::string_view rest_;
  const Value& arguments_;
  const std::vector<Value>* tuple_ = nullptr;
  std::size_t used_ = 0;
  std::string out_;
  Meter& meter_;
};

}  // namespace

Value percent_format(const Value& pattern, const Value& arguments, Meter& meter) {
  std::string out = PercentFormat(pattern.bytes(), arguments, meter).run();
  meter.allocate(out.size());
  return {std::move(out), pattern.text_or_null()->safe};
}

}  // namespace loadline::jinja
