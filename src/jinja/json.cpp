// tojson: json.dumps as transformers calls it (jinja/print.h).
#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

void append_escaped(std::string& out, std::uint32_t code) {
  if (code >= 0x10000) {
    const std::uint32_t rest = code - 0x10000;
    out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FFU));
  } else {
    out += fmt::format("\\u{:04x}", code);
  }
}

std::string json_text(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    switch (code) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (code < 0x20 || (ensure_ascii && code > 0x7E)) {
          append_escaped(out, code);
        } else {
          out += point;
        }
    }
  }
  return out + '"';
}

std::string json_number(const Value& value) {
  if (value.is_integer()) return integer_text(value.integer());
  const double number = value.number();
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return float_repr(number);
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Meter& meter) : style_(style), meter_(meter) {}

  void put(const Value& value) {
    meter_.step();
    if (value.is_none()) return add("null");
    if (value.is_bool()) return add(truth(value) ? "true" : "false");
    if (value.is_number()) return add(json_number(value));
    if (const Text* text = value.text_or_null()) return put_text(text->bytes);
    if (const Dict* dict = value.dict_or_null()) return put_dict(*dict);
    if (value.is_sequence(Flavor::kList) || value.is_sequence(Flavor::kTuple)) {
      return put_list(*value.sequence_or_null());
    }
    throw Failure(
        fmt::format("tojson: an object of type {} is not JSON serializable", value.type_name()));
  }

  std::string out;

 private:
  void add(std::string_view piece) {
    meter_.touch(piece.size());
    meter_.check_text(out.size() + piece.size());
    out += piece;
  }
  void put_text(const std::string& text) { add(json_text(text, style_.ensure_ascii)); }

  void new_line() {
    if (!style_.on_lines) return;
    add("\n");
    for (int i = 0; i < level_; ++i) add(style_.indent);
  }

  void put_list(const Sequence& list) {
    if (list.items.empty()) return add("[]");
    add("[");
    ++level_;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) add(style_.item_separator);
      new_line();
      put(list.items[i]);
    }
    --level_;
    new_line();
    add("]");
  }

  std::string key_text(const Value& key) {
    if (const Text* text = key.text_or_null()) return text->bytes;
    if (key.is_none()) return "null";
    if (key.is_bool()) return truth(key) ? "true" : "false";
    if (key.is_number()) return json_number(key);
    throw Failure(fmt::format("tojson: a key must be a text or a number, not {}", key.type_name()));
  }

  void put_dict(const Dict& dict) {
    if (dict.entries.empty()) return add("{}");
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const auto& a, const auto& b) {
        return less(a.first, b.first, meter_);
      });
    }
    add("{");
    ++level_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) add(style_.item_separator);
      new_line();
      put_text(key_text(entries[i].first));
      add(style_.key_separator);
      put(entries[i].second);
    }
    --level_;
    new_line();
    add("}");
  }

  const JsonStyle& style_;
  Meter& meter_;
  int level_ = 0;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style, Meter& meter) {
  JsonWriter writer(style, meter);
  writer.put(value);
  meter.allocate(writer.out.size());
  return std::move(writer.out);
}

}  // namespace loadline::jinja
