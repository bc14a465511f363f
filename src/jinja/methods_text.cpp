// str's methods (jinja/methods.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/interpreter.h"
#include "jinja/methods.h"
#include "jinja/operators.h"
#include "jinja/registry.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

const std::string& text_argument(const Bound& bound, std::size_t i, std::string_view method) {
  if (!bound[i]) throw Failure(fmt::format("{} wants more arguments", method));
  require_defined(*bound[i]);
  if (!bound[i]->is_text()) {
    throw Failure(fmt::format("{} wants a str, not '{}'", method, bound[i]->type_name()));
  }
  return bound[i]->bytes();
}

std::optional<std::string> optional_text(const Bound& bound, std::size_t i,
                                         std::string_view method) {
  if (!bound[i] || bound[i]->is_none()) return std::nullopt;
  return text_argument(bound, i, method);
}

void positional_only(const Arguments& arguments, std::string_view method) {
  if (!arguments.named.empty()) {
    throw Failure(fmt::format("str.{}() takes no keyword arguments", method));
  }
}

Value made(Interpreter& interpreter, const Value& self, std::string text) {
  interpreter.meter().check_text(text.size());
  interpreter.meter().allocate(text.size());
  return {std::move(text), self.text_or_null()->safe};
}

template <std::string (*change)(std::string_view)>
Value changed(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "this method");
  interpreter.meter().touch(self.bytes().size());
  return made(interpreter, self, change(self.bytes()));
}

template <bool left, bool right>
Value stripped(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "strip");
  const auto set = optional_text(bind(arguments, {"chars"}, "strip"), 0, "strip");
  interpreter.meter().touch(self.bytes().size() * (1 + (set ? set->size() / 16 : 0)));
  return made(interpreter, self,
              std::string(strip(self.bytes(), left, right, set ? &*set : nullptr)));
}

Value list_of(const Value& self, std::vector<std::string> parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (std::string& part : parts) items.emplace_back(std::move(part), self.text_or_null()->safe);
  return Value::list(std::move(items));
}

template <auto cut>
Value cut_up(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"sep", "maxsplit"}, "split");
  const auto separator = optional_text(bound, 0, "split");
  const std::int64_t limit = bound[1] ? as_index(*bound[1]) : -1;
  return list_of(self,
                 cut(self.bytes(), separator ? &*separator : nullptr, limit, interpreter.meter()));
}

Value lines(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"keepends"}, "splitlines");
  interpreter.meter().allocate(self.bytes().size() * 2);
  return list_of(self, split_lines(self.bytes(), bound[0] && as_index(*bound[0]) != 0));
}

// The part of the text from `start` to `end`, both code points; nullopt where start is behind the
// end of the text.
struct Part {
  std::string_view text;
  std::int64_t begin = 0;
};
std::optional<Part> part_of(Interpreter& interpreter, const Value& self, const Bound& bound) {
  const std::string_view whole = self.bytes();
  interpreter.meter().touch(whole.size());
  if ((!bound[1] || bound[1]->is_none()) && (!bound[2] || bound[2]->is_none()))
    return Part{whole, 0};
  const auto size = static_cast<std::int64_t>(code_point_count(whole));
  const auto limit = [&](const std::optional<Value>& given, std::int64_t missing) {
    if (!given || given->is_none()) return missing;
    const std::int64_t index = as_index(*given);
    return index < 0 ? std::max<std::int64_t>(index + size, 0) : index;
  };
  const std::int64_t begin = limit(bound[1], 0);
  const std::int64_t end = std::min(limit(bound[2], size), size);
  if (begin > end) return std::nullopt;
  std::string_view rest = whole;
  for (std::int64_t i = 0; i < begin; ++i) rest.remove_prefix(first_point(rest).size);
  std::size_t bytes = 0;
  for (std::int64_t i = begin; i < end; ++i) bytes += first_point(rest.substr(bytes)).size;
  return Part{rest.substr(0, bytes), begin};
}

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}
bool ends(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

template <bool (*check)(std::string_view, std::string_view)>
Value affix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "startswith and endswith");
  const auto bound = bind(arguments, {"affix", "start", "end"}, "startswith and endswith");
  const auto part = part_of(interpreter, self, bound);
  if (!bound[0] || !bound[0]->is_sequence(Flavor::kTuple)) {
    const std::string& wanted = text_argument(bound, 0, "startswith and endswith");
    return part && check(part->text, wanted);
  }
  for (const Value& wanted : bound[0]->sequence_or_null()->items) {
    if (!wanted.is_text()) throw Failure("the tuple must hold only str");
    if (part && check(part->text, wanted.bytes())) return true;
  }
  return false;
}

std::int64_t found_at(Interpreter& interpreter, const Value& self, Arguments& arguments,
                      std::size_t (*search)(std::string_view, std::string_view)) {
  positional_only(arguments, "find");
  const auto bound = bind(arguments, {"sub", "start", "end"}, "find");
  const std::string& wanted = text_argument(bound, 0, "find");
  const auto part = part_of(interpreter, self, bound);
  if (!part) return -1;
  const std::size_t at = search(part->text, wanted);
  if (at == std::string_view::npos) return -1;
  return part->begin + static_cast<std::int64_t>(code_point_count(part->text.substr(0, at)));
}

std::size_t from_left(std::string_view text, std::string_view wanted) {
  return find_bytes(text, wanted);
}

template <std::size_t (*search)(std::string_view, std::string_view)>
Value find(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return found_at(interpreter, self, arguments, search);
}
template <std::size_t (*search)(std::string_view, std::string_view)>
Value index(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const std::int64_t at = found_at(interpreter, self, arguments, search);
  if (at < 0) throw Failure("substring not found");
  return at;
}

Value count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "count");
  const auto bound = bind(arguments, {"sub", "start", "end"}, "count");
  const std::string& wanted = text_argument(bound, 0, "count");
  const auto part = part_of(interpreter, self, bound);
  return part ? count_of(part->text, wanted) : std::int64_t{0};
}

Value replace(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "replace");
  const auto bound = bind(arguments, {"old", "new", "count"}, "replace");
  const std::string& old = text_argument(bound, 0, "replace");
  const std::string& with = text_argument(bound, 1, "replace");
  return Value(replace_all(self.bytes(), old, with, bound[2] ? as_index(*bound[2]) : -1,
                           interpreter.meter()),
               self.text_or_null()->safe);
}

Value join(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "join");
  const auto bound = bind(arguments, {"iterable"}, "join");
  if (!bound[0]) throw Failure("str.join() takes exactly one argument (0 given)");
  std::string out;
  bool begun = false;
  for (const Value& item : iterate(*bound[0], interpreter.meter())) {
    if (!item.is_text()) {
      throw Failure(
          fmt::format("sequence item: expected str instance, {} found", item.type_name()));
    }
    interpreter.meter().check_text(out.size() + self.bytes().size() + item.bytes().size());
    if (begun) out += self.bytes();
    out += item.bytes();
    interpreter.meter().touch(self.bytes().size() + item.bytes().size());
    begun = true;
  }
  return made(interpreter, self, std::move(out));
}

template <std::size_t (*search)(std::string_view, std::string_view), bool left>
Value partition(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "partition");
  const auto bound = bind(arguments, {"sep"}, "partition");
  const std::string& separator = text_argument(bound, 0, "partition");
  if (separator.empty()) throw Failure("empty separator");
  interpreter.meter().allocate(self.bytes().size());
  const std::size_t at = search(self.bytes(), separator);
  if (at == std::string_view::npos) {
    return left ? Value::tuple({self, Value(""), Value("")})
                : Value::tuple({Value(""), Value(""), self});
  }
  return Value::tuple({Value(self.bytes().substr(0, at)), Value(separator),
                       Value(self.bytes().substr(at + separator.size()))});
}

Value removeprefix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"prefix"}, "removeprefix");
  const std::string& prefix = text_argument(bound, 0, "removeprefix");
  return begins(self.bytes(), prefix) ? made(interpreter, self, self.bytes().substr(prefix.size()))
                                      : self;
}
Value removesuffix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"suffix"}, "removesuffix");
  const std::string& suffix = text_argument(bound, 0, "removesuffix");
  if (!ends(self.bytes(), suffix)) return self;
  return made(interpreter, self, self.bytes().substr(0, self.bytes().size() - suffix.size()));
}

enum class Side : std::uint8_t { kLeft, kRight, kCenter };

template <Side side>
Value padded(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  positional_only(arguments, "this method");
  const auto bound = bind(arguments, {"width", "fillchar"}, "ljust, rjust and center");
  if (!bound[0]) throw Failure("a width is missing");
  const std::string fill = bound[1] ? text_argument(bound, 1, "ljust, rjust and center") : " ";
  if (code_point_count(fill) != 1) {
    throw Failure("The fill character must be exactly one character long");
  }
  const std::int64_t width = as_index(*bound[0]);
  const std::int64_t missing = width - static_cast<std::int64_t>(code_point_count(self.bytes()));
  if (missing <= 0) return self;
  interpreter.meter().check_text(static_cast<std::size_t>(missing));
  const std::int64_t before = side == Side::kRight  ? missing
                              : side == Side::kLeft ? 0
                                                    : missing / 2 + (missing & width & 1);
  std::string out;
  for (std::int64_t i = 0; i < before; ++i) out += fill;
  out += self.bytes();
  for (std::int64_t i = before; i < missing; ++i) out += fill;
  return made(interpreter, self, std::move(out));
}

Value zfill(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = bind(arguments, {"width"}, "zfill");
  if (!bound[0]) throw Failure("zfill() takes exactly one argument (0 given)");
  const std::string& text = self.bytes();
  const std::int64_t missing =
      as_index(*bound[0]) - static_cast<std::int64_t>(code_point_count(text));
  if (missing <= 0) return self;
  interpreter.meter().check_text(static_cast<std::size_t>(missing));
  const std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return made(interpreter, self,
              text.substr(0, sign) + std::string(static_cast<std::size_t>(missing), '0') +
                  text.substr(sign));
}

template <bool (*check)(std::uint32_t)>
Value every(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "this method");
  interpreter.meter().touch(self.bytes().size());
  for (const std::string_view point : code_points(self.bytes())) {
    if (!check(first_point(point).code)) return false;
  }
  return !self.bytes().empty();
}

template <bool (*check)(std::uint32_t)>
Value empty_or(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return self.bytes().empty() ? Value(true) : every<check>(interpreter, self, arguments);
}

Value identifier(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "isidentifier");
  interpreter.meter().touch(self.bytes().size());
  return is_identifier(self.bytes());
}

bool is_alnum(std::uint32_t code) { return is_alpha(code) || is_numeric(code); }
bool is_ascii(std::uint32_t code) { return code < 0x80; }

template <bool (*check)(std::uint32_t)>
Value all_cased(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "this method");
  interpreter.meter().touch(self.bytes().size());
  bool any = false;
  for (const std::string_view point : code_points(self.bytes())) {
    const std::uint32_t code = first_point(point).code;
    if (!is_cased(code)) continue;
    if (!check(code)) return false;
    any = true;
  }
  return any;
}

Value is_title(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  bind(arguments, {}, "istitle");
  interpreter.meter().touch(self.bytes().size());
  bool any = false;
  bool in_word = false;
  for (const std::string_view point : code_points(self.bytes())) {
    const std::uint32_t code = first_point(point).code;
    if (is_cased(code) && is_lower(code) != in_word) return false;
    any = any || is_cased(code);
    in_word = is_cased(code);
  }
  return any;
}

const std::vector<NamedMethod>& text_methods() {
  static const std::vector<NamedMethod> kMethods = {
      {"upper", changed<to_upper>},
      {"lower", changed<to_lower>},
      {"casefold", changed<to_lower>},
      {"capitalize", changed<capitalize>},
      {"title", changed<title_words>},
      {"swapcase", changed<swap_case>},
      {"strip", stripped<true, true>},
      {"lstrip", stripped<true, false>},
      {"rstrip", stripped<false, true>},
      {"split", cut_up<split>},
      {"rsplit", cut_up<split_from_right>},
      {"splitlines", lines},
      {"startswith", affix<begins>},
      {"endswith", affix<ends>},
      {"find", find<from_left>},
      {"rfind", find<rfind_bytes>},
      {"index", index<from_left>},
      {"rindex", index<rfind_bytes>},
      {"count", count},
      {"replace", replace},
      {"join", join},
      {"partition", partition<from_left, true>},
      {"rpartition", partition<rfind_bytes, false>},
      {"removeprefix", removeprefix},
      {"removesuffix", removesuffix},
      {"ljust", padded<Side::kLeft>},
      {"rjust", padded<Side::kRight>},
      {"center", padded<Side::kCenter>},
      {"zfill", zfill},
      {"format", format_text},
      {"isspace", every<is_space>},
      {"isalpha", every<is_alpha>},
      {"isalnum", every<is_alnum>},
      {"isdecimal", every<is_decimal>},
      {"isdigit", every<is_digit>},
      {"isnumeric", every<is_numeric>},
      {"isupper", all_cased<is_upper>},
      {"islower", all_cased<is_lower>},
      {"istitle", is_title},
      {"isascii", empty_or<is_ascii>},
      {"isprintable", empty_or<is_printable>},
      {"isidentifier", identifier},
  };
  return kMethods;
}

}  // namespace

Method find_text_method(std::string_view name) {
  for (const NamedMethod& known : text_methods()) {
    if (known.name == name) return known.method;
  }
  return nullptr;
}

}  // namespace loadline::jinja
