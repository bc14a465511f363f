// The functions that a template can call without having made them, and how arguments are bound
// (jinja/registry.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

constexpr Integer kLongestRange = 100'000;  // the sandbox's own bound

using Function = Value (*)(Interpreter&, Arguments&);

Value make_range(Integer start, Integer stop, Integer stride, Meter& meter) {
  if (stride == 0) throw Failure("range() arg 3 must not be zero");
  const Integer distance = stride > 0 ? stop - start : start - stop;
  const Integer pace = stride > 0 ? stride : -stride;
  const Integer count = distance > 0 ? (distance - 1) / pace + 1 : 0;
  if (count > kLongestRange) {
    throw Failure(fmt::format("range too big: {} items, more than {}", count, kLongestRange));
  }
  meter.allocate(static_cast<std::size_t>(count) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (Integer i = 0; i < count; ++i) items.emplace_back(start + i * stride);
  Value made = Value::of(Flavor::kRange, std::move(items));
  Sequence& range = *made.sequence_or_null();
  range.start = start;
  range.stop = stop;
  range.stride = stride;
  return made;
}

Value call_range(Interpreter& interpreter, Arguments& arguments) {
  const std::size_t count = arguments.positional.size();
  if (!arguments.named.empty()) throw Failure("range() takes no keyword arguments");
  if (count < 1 || count > 3) throw Failure("range expected 1 to 3 arguments");
  std::array<Integer, 3> numbers = {0, 0, 1};
  for (std::size_t i = 0; i < count; ++i) numbers[i] = as_index(arguments.positional[i]);
  if (count == 1) std::swap(numbers[0], numbers[1]);
  return make_range(numbers[0], numbers[1], numbers[2], interpreter.meter());
}

// dict(mapping or pairs, name=value ...)
std::vector<std::pair<Value, Value>> dict_entries(Interpreter& interpreter, Arguments& arguments) {
  std::vector<std::pair<Value, Value>> entries;
  if (arguments.positional.size() > 1) throw Failure("dict expected at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (const Dict* dict = source.dict_or_null()) {
      entries = dict->entries;
    } else {
      for (const Value& item : iterate(source, interpreter.meter())) {
        const std::vector<Value> pair = iterate(item, interpreter.meter());
        if (pair.size() != 2) throw Failure("dict() wants pairs");
        entries.emplace_back(pair[0], pair[1]);
      }
    }
  }
  for (auto& [name, value] : arguments.named) entries.emplace_back(Value(name), std::move(value));
  return entries;
}

Value call_dict(Interpreter& interpreter, Arguments& arguments) {
  return make_dict(dict_entries(interpreter, arguments), interpreter.meter());
}

Value call_namespace(Interpreter& interpreter, Arguments& arguments) {
  const Value dict = call_dict(interpreter, arguments);
  std::vector<std::pair<std::string, Value>> attributes;
  for (const auto& [key, value] : dict.dict_or_null()->entries) {
    attributes.emplace_back(to_text(key, interpreter.meter()), value);
  }
  return interpreter.make_namespace(std::move(attributes));
}

Value call_raise_exception(Interpreter& interpreter, Arguments& arguments) {
  const auto bound = bind(arguments, {"message"}, "raise_exception");
  if (!bound[0]) throw Failure("raise_exception wants a message");
  throw Failure(to_text(*bound[0], interpreter.meter()));
}

Value write_time(Interpreter& interpreter, const Arguments& arguments, const std::tm& time) {
  const auto bound = bind(arguments, {"format"}, "strftime_now");
  if (!bound[0] || !bound[0]->is_text()) throw Failure("strftime_now wants a format");
  const std::string& format = bound[0]->bytes();
  if (format.size() > 1000) throw Failure("the format of strftime_now is too long");
  if (format.empty()) return Value("");
  interpreter.meter().touch(format.size() * 32);
  std::string text(format.size() * 64 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &time));
  return text;
}

Value call_strftime_now(Interpreter& interpreter, Arguments& arguments) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return write_time(interpreter, arguments, parts);
}

// "" at its first call, then the separator.
Value call_joiner(Interpreter&, Arguments& arguments) {
  const auto bound = bind(arguments, {"sep"}, "joiner");
  const Value separator = bound[0] ? *bound[0] : Value(", ");
  auto used = std::make_shared<bool>(false);
  return make_function("joiner", separator.depth() + 1,
                       [separator, used](Interpreter&, Arguments&) {
                         return std::exchange(*used, true) ? separator : Value("");
                       });
}

struct NamedFunction {
  std::string_view name;
  Function function;
};
constexpr std::array<NamedFunction, 6> kFunctions = {{{"range", call_range},
                                                      {"dict", call_dict},
                                                      {"namespace", call_namespace},
                                                      {"joiner", call_joiner},
                                                      {"raise_exception", call_raise_exception},
                                                      {"strftime_now", call_strftime_now}}};

}  // namespace

Value make_function(std::string_view name, int depth,
                    std::function<Value(Interpreter&, Arguments&)> call) {
  auto made = std::make_shared<Callable>();
  made->name = name;
  made->kind = "builtin_function_or_method";
  made->depth = depth;
  made->call = std::move(call);
  return std::shared_ptr<const Callable>(std::move(made));
}

Value strftime_of(std::chrono::year_month_day day) {
  const auto since = std::chrono::sys_days(day).time_since_epoch();
  const auto seconds = static_cast<std::time_t>(std::chrono::seconds(since).count());
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return make_function("strftime_now", 0, [parts](Interpreter& interpreter, Arguments& arguments) {
    return write_time(interpreter, arguments, parts);
  });
}

std::optional<Value> find_function(std::string_view name) {
  for (const NamedFunction& known : kFunctions) {
    if (known.name == name) return make_function(name, 0, known.function);
  }
  return std::nullopt;
}

std::vector<std::optional<Value>> bind(const Arguments& arguments,
                                       std::initializer_list<std::string_view> parameters,
                                       std::string_view function) {
  if (arguments.positional.size() > parameters.size()) {
    throw Failure(fmt::format("{} takes at most {} argument(s), {} given", function,
                              parameters.size(), arguments.positional.size()));
  }
  std::vector<std::optional<Value>> bound(parameters.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto* const place = std::find(parameters.begin(), parameters.end(), name);
    if (place == parameters.end()) {
      throw Failure(fmt::format("{} takes no argument '{}'", function, name));
    }
    auto& slot = bound[static_cast<std::size_t>(place - parameters.begin())];
    if (slot) throw Failure(fmt::format("{} got two values for '{}'", function, name));
    slot = value;
  }
  return bound;
}

}  // namespace loadline::jinja
