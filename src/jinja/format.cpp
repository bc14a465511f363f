// str.format (jinja/methods.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/interpreter.h"
#include "jinja/methods.h"
#include "jinja/operators.h"
#include "jinja/parse_number.h"
#include "jinja/print.h"

namespace loadline::jinja {
namespace {

class Formatter {
 public:
  Formatter(Interpreter& interpreter, std::string_view pattern, const Arguments& arguments)
      : interpreter_(interpreter), rest_(pattern), arguments_(arguments) {}

  std::string run() {
    while (!rest_.empty()) {
      const std::size_t brace = std::min(rest_.find_first_of("{}"), rest_.size());
      add(rest_.substr(0, brace));
      rest_.remove_prefix(brace);
      if (rest_.size() > 1 && rest_[0] == rest_[1]) {
        add(rest_.substr(0, 1));
        rest_.remove_prefix(2);
      } else if (!rest_.empty()) {
        field();
      }
    }
    return std::move(out_);
  }

 private:
  void add(std::string_view piece) {
    interpreter_.meter().touch(piece.size());
    interpreter_.meter().check_text(out_.size() + piece.size());
    out_ += piece;
  }

  void field() {
    if (rest_[0] == '}') throw Failure("Single '}' encountered in format string");
    const std::size_t end = rest_.find('}');
    if (end == std::string_view::npos) throw Failure("expected '}' before end of string");
    std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    if (text.find_first_of("{:") != std::string_view::npos) {
      throw Failure(
          "format specifications in str.format are not supported: use round or % instead");
    }
    const std::size_t mark = text.find('!');
    const std::string_view conversion = mark == std::string_view::npos ? "!s" : text.substr(mark);
    const Value value = lookup(text.substr(0, mark));
    if (conversion == "!r") return add(to_repr(value, interpreter_.meter()));
    if (conversion != "!s") throw Failure(fmt::format("unknown conversion '{}'", conversion));
    add(to_text(value, interpreter_.meter()));
  }

  Value lookup(std::string_view path) {
    const std::size_t size = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, size));
    path.remove_prefix(size);
    while (!path.empty()) {
      const bool item = path[0] == '[';
      const std::size_t end =
          item ? path.find(']') : std::min(path.find_first_of(".[", 1), path.size());
      if (end == std::string_view::npos || end == 1) throw Failure("malformed field in str.format");
      const std::string_view key = path.substr(1, end - 1);
      const auto number = item ? index_of(key) : std::nullopt;
      value = item ? interpreter_.subscript(value, number ? Value(*number) : Value(key))
                   : interpreter_.attribute(value, std::string(key));
      path.remove_prefix(item ? end + 1 : end);
    }
    return value;
  }

  static std::optional<Integer> index_of(std::string_view text) {
    const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    return digits ? parse_integer(text, 10) : std::nullopt;
  }

  Value argument(std::string_view name) {
    const auto number = index_of(name);
    if (name.empty() || number) {
      if (name.empty() ? numbered_ : automatic_ > 0) {
        throw Failure("cannot mix automatic and manual field numbering");
      }
      numbered_ = numbered_ || number;
      const Integer at = number ? *number : Integer{automatic_++};
      if (at >= static_cast<Integer>(arguments_.positional.size())) {
        throw Failure("Replacement index out of range for positional args tuple");
      }
      return arguments_.positional[static_cast<std::size_t>(at)];
    }
    for (const auto& given : arguments_.named) {
      if (given.first == name) return given.second;
    }
    throw Failure(fmt::format("str.format has no argument '{}'", name));
  }

  Interpreter& interpreter_;
  std::string_view rest_;
  const Arguments& arguments_;
  std::string out_;
  int automatic_ = 0;
  bool numbered_ = false;
};

}  // namespace

Value format_text(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  std::string out = Formatter(interpreter, self.bytes(), arguments).run();
  interpreter.meter().allocate(out.size());
  return {std::move(out), self.text_or_null()->safe};
}

}  // namespace loadline::jinja
