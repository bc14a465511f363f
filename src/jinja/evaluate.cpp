// Expressions (jinja/interpreter.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/guards.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

// How Jinja names a value that lacks an attribute.
std::string owner_name(const Value& value) {
  if (value.is_none()) return "None";
  if (value.namespace_or_null() != nullptr) return "jinja2.utils.Namespace object";
  return value.type_name() + " object";
}

std::optional<Value> loop_attribute(const Loop& loop, std::string_view name) {
  const std::size_t i = loop.index0;
  const std::size_t count = loop.items.size();
  if (name == "index") return Value(i + 1);
  if (name == "index0") return Value(i);
  if (name == "revindex") return Value(count - i);
  if (name == "revindex0") return Value(count - i - 1);
  if (name == "first") return Value(i == 0);
  if (name == "last") return Value(i + 1 == count);
  if (name == "length") return Value(count);
  if (name == "depth") return Value(loop.loop_depth);
  if (name == "depth0") return Value(loop.loop_depth - 1);
  if (name == "previtem") {
    return i > 0 ? loop.items[i - 1] : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return i + 1 < count ? loop.items[i + 1] : Value::undefined("there is no next item");
  }
  return std::nullopt;
}

// loop.cycle(a, b ...): one of them for each round in turn.
Value loop_cycle(std::size_t index0) {
  return make_function("cycle", 0, [index0](Interpreter&, Arguments& arguments) {
    const auto& choices = arguments.positional;
    if (choices.empty()) throw Failure("no items for cycling given");
    return choices[index0 % choices.size()];
  });
}

// loop.changed(a, b ...): are these other values than at the last call.
Value loop_changed(const Value& subject) {
  return make_function("changed", subject.depth() + 1,
                       [subject](Interpreter& interpreter, Arguments& arguments) {
                         Loop& loop = *subject.loop_or_null();
                         const Value now = Value::tuple(arguments.positional);
                         if (loop.last_changed &&
                             equal(Value::tuple(*loop.last_changed), now, interpreter.meter())) {
                           return Value(false);
                         }
                         if (!loop.over) loop.last_changed = arguments.positional;
                         return Value(true);
                       });
}

std::optional<Value> own_attribute(const Value& subject, std::string_view name) {
  if (const Loop* loop = subject.loop_or_null()) {
    if (name == "cycle") return loop_cycle(loop->index0);
    if (name == "changed") return loop_changed(subject);
    return loop_attribute(*loop, name);
  }
  if (const Namespace* space = subject.namespace_or_null()) {
    for (const auto& known : space->attributes) {
      if (known.first == name) return known.second;
    }
  }
  const Callable* callable = subject.callable_or_null();
  if (callable != nullptr && callable->kind == "Macro" && name == "name")
    return Value(callable->name);
  return std::nullopt;
}

}  // namespace

Value Interpreter::attribute(const Value& subject, const std::string& name) {
  require_defined(subject);
  if (auto own = own_attribute(subject, name)) return std::move(*own);
  if (auto method = find_method(subject, name)) return std::move(*method);
  if (subject.dict_or_null() != nullptr) {
    if (auto found = item(subject, Value(name), meter_)) return std::move(*found);
  }
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", owner_name(subject), name));
}

Value Interpreter::subscript(const Value& subject, const Value& key) {
  require_defined(subject);
  if (auto found = item(subject, key, meter_)) return std::move(*found);
  if (key.is_text()) {
    if (auto own = own_attribute(subject, key.bytes())) return std::move(*own);
    if (auto method = find_method(subject, key.bytes())) return std::move(*method);
    return Value::undefined(
        fmt::format("'{}' has no attribute '{}'", owner_name(subject), key.bytes()));
  }
  return Value::undefined(
      fmt::format("{} has no element {}", owner_name(subject), to_repr(key, meter_)));
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
  const Deeper deeper(*this);
  require_defined(callee);
  if (const Callable* callable = callee.callable_or_null()) {
    return callable->call(*this, arguments);
  }
  if (const Loop* loop = callee.loop_or_null(); loop != nullptr && loop->recurse) {
    if (loop->over) throw Failure("loop() was called after its loop");
    const auto recurse = loop->recurse;
    return recurse(*this, arguments);
  }
  throw Failure(fmt::format("'{}' object is not callable", callee.type_name()));
}

Value Interpreter::apply_filter(std::string_view name, const Value& subject, Arguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw Failure(fmt::format("no filter named '{}'", name));
  meter_.step();
  return filter(*this, subject, arguments);
}

bool Interpreter::apply_test(std::string_view name, const Value& subject, Arguments& arguments) {
  const Test test = find_test(name);
  if (test == nullptr) throw Failure(fmt::format("no test named '{}'", name));
  meter_.step();
  return test(*this, subject, arguments);
}

Value Interpreter::evaluate(const Expression& expression) {
  meter_.step();
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.constant;
    case ExpressionKind::kName:
      return name(expression.text);
    default:
      break;
  }
  const Deeper deeper(*this);
  line_ = expression.line;
  return evaluate_parts(expression);
}

Value Interpreter::evaluate_parts(const Expression& expression) {
  const auto& parts = expression.parts;
  switch (expression.kind) {
    case ExpressionKind::kConstant:
    case ExpressionKind::kName:
      break;
    case ExpressionKind::kAttribute:
      return attribute(evaluate(*parts[0]), expression.text);
    case ExpressionKind::kItem: {
      const Value subject = evaluate(*parts[0]);
      return subscript(subject, evaluate(*parts[1]));
    }
    case ExpressionKind::kSlice:
      return evaluate_slice(expression);
    case ExpressionKind::kCall: {
      const Value callee = evaluate(*parts[0]);
      Arguments arguments = evaluate_arguments(expression);
      return call(callee, arguments);
    }
    case ExpressionKind::kFilter:
      return evaluate_filter(expression, nullptr);
    case ExpressionKind::kTest: {
      const Value subject = evaluate(*parts[0]);
      Arguments arguments = evaluate_arguments(expression);
      return apply_test(expression.text, subject, arguments);
    }
    case ExpressionKind::kNot:
      return !truth(evaluate(*parts[0]));
    case ExpressionKind::kNegative:
      return negative(evaluate(*parts[0]));
    case ExpressionKind::kPositive:
      return positive(evaluate(*parts[0]));
    case ExpressionKind::kArithmetic: {
      const Value left = evaluate(*parts[0]);
      return arithmetic(expression.text, left, evaluate(*parts[1]), meter_);
    }
    case ExpressionKind::kCompare:
      return evaluate_comparison(expression);
    case ExpressionKind::kConcat:
      return evaluate_concat(expression);
    case ExpressionKind::kAnd: {
      Value left = evaluate(*parts[0]);
      return truth(left) ? evaluate(*parts[1]) : left;
    }
    case ExpressionKind::kOr: {
      Value left = evaluate(*parts[0]);
      return truth(left) ? left : evaluate(*parts[1]);
    }
    case ExpressionKind::kConditional:
      return evaluate_conditional(expression);
    case ExpressionKind::kList:
      return Value::list(evaluate_all(parts));
    case ExpressionKind::kTuple:
      return Value::tuple(evaluate_all(parts));
    case ExpressionKind::kDict:
      return evaluate_dict(expression);
  }
  return {};
}

Value Interpreter::evaluate_comparison(const Expression& expression) {
  Value left = evaluate(*expression.parts[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1]);
    if (!compare(expression.operators[i], left, right, meter_)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_concat(const Expression& expression) {
  std::string text;
  for (const Value& part : evaluate_all(expression.parts)) {
    const std::string piece = to_text(part, meter_);
    meter_.check_text(text.size() + piece.size());
    text += piece;
  }
  meter_.allocate(text.size());
  return text;
}

Value Interpreter::evaluate_dict(const Expression& expression) {
  std::vector<std::pair<Value, Value>> entries;
  for (std::size_t i = 0; i < expression.parts.size(); i += 2) {
    Value key = evaluate(*expression.parts[i]);
    entries.emplace_back(std::move(key), evaluate(*expression.parts[i + 1]));
  }
  return make_dict(std::move(entries), meter_);
}

Value Interpreter::evaluate_slice(const Expression& expression) {
  const auto part = [&](std::size_t i) {
    const auto& given = expression.parts[i];
    return given == nullptr ? Value() : evaluate(*given);
  };
  const Value subject = part(0);
  const Value begin = part(1);
  const Value end = part(2);
  return slice(subject, begin, end, part(3), meter_);
}

Value Interpreter::evaluate_conditional(const Expression& expression) {
  if (truth(evaluate(*expression.parts[0]))) return evaluate(*expression.parts[1]);
  if (expression.parts[2] != nullptr) return evaluate(*expression.parts[2]);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section was "
                  "defined.",
                  expression.line));
}

Value Interpreter::evaluate_filter(const Expression& expression, const Value* block_subject) {
  const auto& inner = expression.parts[0];
  Value subject;
  if (inner == nullptr) {
    subject = *block_subject;
  } else if (block_subject != nullptr) {  // a chain of filters down to the block's text
    subject = evaluate_filter(*inner, block_subject);
  } else {
    subject = evaluate(*inner);
  }
  Arguments arguments = evaluate_arguments(expression);
  return apply_filter(expression.text, subject, arguments);
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExpressionPtr>& expressions) {
  meter_.allocate(expressions.size() * sizeof(Value));
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const auto& expression : expressions) values.push_back(evaluate(*expression));
  return values;
}

Arguments Interpreter::evaluate_arguments(const Expression& expression) {
  Arguments arguments;
  arguments.positional = evaluate_all(expression.positional);
  for (const auto& [name, value] : expression.named) {
    arguments.named.emplace_back(name, evaluate(*value));
  }
  if (expression.spread != nullptr) {
    for (Value& value : iterate(evaluate(*expression.spread), meter_)) {
      arguments.positional.push_back(std::move(value));
    }
  }
  if (expression.spread_named == nullptr) return arguments;
  const Value spread = evaluate(*expression.spread_named);
  const Dict* dict = spread.dict_or_null();
  if (dict == nullptr) throw Failure("what stands after ** must be a mapping");
  for (const auto& entry : dict->entries) {
    const Value& key = entry.first;
    if (!key.is_text()) throw Failure("keywords must be strings");
    const bool twice = std::any_of(arguments.named.begin(), arguments.named.end(),
                                   [&](const auto& given) { return given.first == key.bytes(); });
    if (twice) throw Failure(fmt::format("'{}' is given twice", key.bytes()));
    arguments.named.emplace_back(key.bytes(), entry.second);
  }
  return arguments;
}

}  // namespace loadline::jinja
