#include "jinja/filters_rare.h"

#include <fmt/format.h>

#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

// As the expression \w+ finds them.
Value word_count(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "wordcount");
  const std::string text = to_text(subject, interpreter.meter());
  interpreter.meter().touch(text.size());
  std::int64_t words = 0;
  bool in_word = false;
  for (std::string_view rest = text; !rest.empty();) {
    const Point point = first_point(rest);
    rest.remove_prefix(point.size);
    const bool is_word = is_alpha(point.code) || is_numeric(point.code) || point.code == '_';
    words += is_word && !in_word ? 1 : 0;
    in_word = is_word;
  }
  return words;
}

std::string first_points(const std::string& text, std::int64_t count) {
  std::size_t bytes = 0;
  for (std::int64_t i = 0; i < count && bytes < text.size(); ++i) {
    bytes += first_point(std::string_view(text).substr(bytes)).size;
  }
  return text.substr(0, bytes);
}

Value truncate(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"length", "killwords", "end", "leeway"}, "truncate");
  const std::int64_t length = bound[0] ? as_index(*bound[0]) : 255;
  const std::int64_t leeway = bound[3] && !bound[3]->is_none() ? as_index(*bound[3]) : 5;
  if (!subject.is_text() || (bound[2] && !bound[2]->is_text())) {
    throw Failure("truncate wants texts");
  }
  const std::string end = bound[2] ? bound[2]->bytes() : "...";
  const auto end_size = static_cast<std::int64_t>(code_point_count(end));
  if (length < end_size)
    throw Failure(fmt::format("expected length >= {}, got {}", end_size, length));
  if (leeway < 0) throw Failure(fmt::format("expected leeway >= 0, got {}", leeway));
  interpreter.meter().touch(subject.bytes().size());
  if (static_cast<std::int64_t>(code_point_count(subject.bytes())) - leeway <= length) {
    return subject;
  }
  std::string kept = first_points(subject.bytes(), length - end_size);
  if (!(bound[1] && truth(*bound[1]))) kept = kept.substr(0, kept.rfind(' '));
  interpreter.meter().allocate(kept.size());
  return {kept + end, subject.text_or_null()->safe};
}

// Columns: the first ones have an item more where they do not divide.
Value columns(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  const auto bound = bind(arguments, {"slices", "fill_with"}, "slice");
  if (!bound[0]) throw Failure("slice wants a count");
  const std::int64_t count = as_index(*bound[0]);
  const std::vector<Value> items = iterate(subject, interpreter.meter());
  if (count == 0) throw Failure("integer division or modulo by zero");
  std::vector<Value> made;
  auto from = items.begin();
  for (std::int64_t i = 0; i < count; ++i) {
    interpreter.meter().allocate(2 * sizeof(Value));
    interpreter.meter().step();
    const bool has_more = i < std::ssize(items) % count;
    const auto to = from + std::ssize(items) / count + (has_more ? 1 : 0);
    std::vector<Value> column(from, to);
    from = to;
    if (bound[1] && !bound[1]->is_none() && !has_more) column.push_back(*bound[1]);
    made.push_back(Value::list(std::move(column)));
  }
  return Value::iterator(std::move(made));
}

Value force_escape(Interpreter& interpreter, const Value& subject, Arguments& arguments) {
  bind(arguments, {}, "forceescape");
  std::string text = escape_html(to_text(subject, interpreter.meter()));
  interpreter.meter().allocate(text.size());
  return {std::move(text), true};
}

}  // namespace

const std::vector<NamedFilter>& rare_filters() {
  static const std::vector<NamedFilter> kFilters = {{"wordcount", word_count},
                                                    {"truncate", truncate},
                                                    {"slice", columns},
                                                    {"forceescape", force_escape}};
  return kFilters;
}

}  // namespace loadline::jinja
