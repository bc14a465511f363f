// for, macros and call blocks (jinja/interpreter.h).
#include <fmt/format.h>

#include <algorithm>

#include "jinja/guards.h"
#include "jinja/interpreter.h"

namespace loadline::jinja {
namespace {

// Lets go of what could hold the loop itself.
class LoopEnd {
 public:
  explicit LoopEnd(Loop& loop) : loop_(loop) {}
  LoopEnd(const LoopEnd&) = delete;
  LoopEnd& operator=(const LoopEnd&) = delete;
  ~LoopEnd() {
    loop_.over = true;
    loop_.last_changed.reset();
  }

 private:
  Loop& loop_;
};

}  // namespace

Interpreter::Flow Interpreter::execute_for(const Statement& statement) {
  return loop_over(statement, evaluate(*statement.value), 1);
}

// The items for which the loop's own `if` holds: loop.index counts only these.
std::vector<Value> Interpreter::loop_items(const Statement& statement, const Value& iterable) {
  std::vector<Value> items = iterate(iterable, meter_);
  if (statement.test == nullptr) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    const Inner inner(*this, scope_);
    assign(*statement.target, item);
    if (truth(evaluate(*statement.test))) kept.push_back(std::move(item));
  }
  return kept;
}

Interpreter::Flow Interpreter::loop_over(const Statement& statement, const Value& iterable,
                                         int loop_depth) {
  const Deeper deeper(*this);
  auto loop = std::make_shared<Loop>();
  loop->items = loop_items(statement, iterable);
  loop->loop_depth = loop_depth;
  loop->depth = Value::list(loop->items).depth();
  if (statement.recursive) {
    loop->recurse = [this, &statement, loop_depth, home = scope_](Interpreter&, Arguments& given) {
      if (given.positional.size() != 1) throw Failure("loop() wants one value to loop over");
      Scope* before = std::exchange(scope_, home);
      Capture capture(*this);
      loop_over(statement, given.positional[0], loop_depth + 1);
      scope_ = before;
      return Value(capture.take());
    };
  }
  const LoopEnd end(*loop);
  bool completed = false;
  for (std::size_t i = 0; i < loop->items.size(); ++i) {
    meter_.step();
    loop->index0 = i;
    const Inner inner(*this, scope_);
    scope_->names.emplace_back("loop", loop);
    assign(*statement.target, Value(loop->items[i]));
    const Flow flow = execute(statement.body);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNext;
  }
  // Jinja takes `else` when no round came to its end, be it for a break or a continue.
  if (completed) return Flow::kNext;
  const Inner inner(*this, scope_);
  return execute(statement.else_body);
}

Value Interpreter::make_macro(const Macro& macro) {
  auto made = std::make_shared<Callable>();
  made->name = macro.name;
  made->kind = "Macro";
  made->call = [&macro, home = scope_](Interpreter& interpreter, Arguments& arguments) {
    return interpreter.call_macro(macro, home, arguments);
  };
  kept_scopes_ = scopes_.size();
  meter_.allocate(sizeof(Callable));
  return std::shared_ptr<const Callable>(std::move(made));
}

Value Interpreter::call_macro(const Macro& macro, Scope* home, Arguments& arguments) {
  const Deeper deeper(*this);
  const int line = line_;
  const Inner inner(*this, home);
  Capture capture(*this);
  bind_macro(macro, arguments);
  execute(macro.body);
  line_ = line;
  return capture.take();
}

void Interpreter::bind_macro(const Macro& macro, Arguments& arguments) {
  auto& named = arguments.named;
  const auto take_named = [&](const std::string& name) -> std::optional<Value> {
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& given) { return given.first == name; });
    if (found == named.end()) return std::nullopt;
    Value value = std::move(found->second);
    named.erase(found);
    return value;
  };
  const std::size_t required = macro.parameters.size() - macro.defaults.size();
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const std::string& parameter = macro.parameters[i];
    if (i < arguments.positional.size()) {
      set(parameter, arguments.positional[i]);
    } else if (const auto given = take_named(parameter)) {
      set(parameter, *given);
    } else if (i >= required) {
      set(parameter, evaluate(*macro.defaults[i - required]));
    } else {
      set(parameter, Value::undefined(fmt::format("parameter '{}' was not provided", parameter)));
    }
  }
  if (macro.takes_caller &&
      std::count(macro.parameters.begin(), macro.parameters.end(), "caller") == 0) {
    const auto caller = take_named("caller");
    set("caller", caller ? *caller : Value::undefined("No caller defined"));
  }
  if (macro.takes_kwargs) {
    std::vector<std::pair<Value, Value>> entries;
    for (auto& [name, value] : named) entries.emplace_back(name, std::move(value));
    named.clear();
    set("kwargs", Value::dict(std::move(entries)));
  }
  if (!named.empty()) {
    throw Failure(
        fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, named.front().first));
  }
  std::vector<Value> rest;
  for (std::size_t i = macro.parameters.size(); i < arguments.positional.size(); ++i) {
    rest.push_back(arguments.positional[i]);
  }
  if (!rest.empty() && !macro.takes_varargs) {
    throw Failure(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name,
                              macro.parameters.size()));
  }
  if (macro.takes_varargs) set("varargs", Value::tuple(std::move(rest)));
}

void Interpreter::execute_call_block(const Statement& statement) {
  const Deeper deeper(*this);
  const Value caller = make_macro(statement.macro);
  const Value callee = evaluate(*statement.value->parts[0]);
  Arguments arguments = evaluate_arguments(*statement.value);
  arguments.named.emplace_back("caller", caller);
  const Value made = call(callee, arguments);
  write(made.is_text() ? made.bytes() : std::string());
}

}  // namespace loadline::jinja
