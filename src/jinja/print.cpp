#include "jinja/print.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "jinja/text.h"

namespace loadline::jinja {
namespace {

class Repr {
 public:
  explicit Repr(Meter& meter) : meter_(meter) {}

  void put(const Value& value) {
    meter_.step();
    if (const Text* text = value.text_or_null()) return put_text(*text);
    if (const Sequence* sequence = value.sequence_or_null()) return put_sequence(*sequence);
    if (const Dict* dict = value.dict_or_null()) return put_dict(*dict);
    if (const Namespace* space = value.namespace_or_null()) return put_namespace(*space);
    add(scalar(value));
  }

  std::string out;

 private:
  void add(std::string_view piece) {
    meter_.touch(piece.size());
    meter_.check_text(out.size() + piece.size());
    out += piece;
  }

  void put_text(const Text& text) {
    add(text.safe ? "Markup(" + text_repr(text.bytes) + ")" : text_repr(text.bytes));
  }

  static std::string scalar(const Value& value) {
    if (value.is_undefined()) return "Undefined";
    if (value.is_none()) return "None";
    if (value.is_bool()) return truth(value) ? "True" : "False";
    if (value.is_integer()) return integer_text(value.integer());
    if (value.is_float()) return float_repr(value.number());
    if (const Loop* loop = value.loop_or_null()) {
      return fmt::format("<LoopContext {}/{}>", loop->index0 + 1, loop->items.size());
    }
    const Callable* callable = value.callable_or_null();
    if (callable->kind == "Macro") return "<Macro " + text_repr(callable->name) + ">";
    return fmt::format("<{} {}>", callable->kind, callable->name);
  }

  void put_items(const std::vector<Value>& items, std::string_view begin, std::string_view end) {
    add(begin);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) add(", ");
      put(items[i]);
    }
    add(end);
  }

  void put_sequence(const Sequence& sequence) {
    switch (sequence.flavor) {
      case Flavor::kList:
        return put_items(sequence.items, "[", "]");
      case Flavor::kTuple:
        return put_items(sequence.items, "(", sequence.items.size() == 1 ? ",)" : ")");
      case Flavor::kDictKeys:
        return put_items(sequence.items, "dict_keys([", "])");
      case Flavor::kDictValues:
        return put_items(sequence.items, "dict_values([", "])");
      case Flavor::kDictItems:
        return put_items(sequence.items, "dict_items([", "])");
      case Flavor::kRange:
        add("range(" + integer_text(sequence.start) + ", " + integer_text(sequence.stop));
        if (sequence.stride != 1) add(", " + integer_text(sequence.stride));
        return add(")");
      case Flavor::kIterator:
        return add("<generator object>");
    }
  }

  void put_dict(const Dict& dict) {
    add("{");
    for (std::size_t i = 0; i < dict.entries.size(); ++i) {
      if (i > 0) add(", ");
      put(dict.entries[i].first);
      add(": ");
      put(dict.entries[i].second);
    }
    add("}");
  }

  // Alone among values a namespace may hold itself.
  void put_namespace(const Namespace& space) {
    if (++namespaces_ > Value::kDeepest) throw Failure("a namespace holds itself");
    add("<Namespace {");
    for (std::size_t i = 0; i < space.attributes.size(); ++i) {
      if (i > 0) add(", ");
      add(text_repr(space.attributes[i].first) + ": ");
      put(space.attributes[i].second);
    }
    add("}>");
    --namespaces_;
  }

  Meter& meter_;
  int namespaces_ = 0;
};

}  // namespace

std::string to_text(const Value& value, Meter& meter) {
  if (value.is_undefined()) return {};
  if (const Text* text = value.text_or_null()) {
    meter.touch(text->bytes.size());
    return text->bytes;
  }
  return to_repr(value, meter);
}

std::string to_repr(const Value& value, Meter& meter) {
  Repr repr(meter);
  repr.put(value);
  meter.allocate(repr.out.size());
  return std::move(repr.out);
}

std::string text_repr(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    if (code == static_cast<unsigned char>(quote) || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_printable(code)) {
      out += point;
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

// The shortest digits that read back as the same number; with an exponent below 1e-4 and from 1e16.
std::string float_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const auto made = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                  std::chars_format::scientific);
  const std::string scientific(buffer.data(), made.ptr);
  const std::size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed);
  std::string out(buffer.data(), fixed.ptr);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

std::string integer_text(Integer number) { return fmt::format("{}", number); }

}  // namespace loadline::jinja
