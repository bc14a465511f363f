#include "jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/guards.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"

namespace loadline::jinja {

Interpreter::Interpreter(std::vector<std::pair<std::string, Value>> variables, Meter& meter)
    : meter_(meter) {
  scopes_.push_back({nullptr, std::move(variables)});
  scopes_.push_back({&scopes_.front(), {}});
  scope_ = &scopes_.back();
  kept_scopes_ = scopes_.size();
}

Interpreter::~Interpreter() {
  for (const auto& space : namespaces_) space->attributes.clear();
}

std::string Interpreter::run(const Body& body) {
  std::string text;
  out_ = &text;
  execute(body);
  return text;
}

void Interpreter::write(std::string_view text) {
  meter_.touch(text.size());
  meter_.check_text(out_->size() + text.size());
  out_->append(text);
}

Interpreter::Flow Interpreter::execute(const Body& body) {
  for (const auto& statement : body) {
    const Flow flow = execute(*statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Statement& statement) {
  meter_.step();
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      write(statement.text);
      return Flow::kNext;
    case StatementKind::kOutput:
      for (const auto& part : statement.expressions) write(to_text(evaluate(*part), meter_));
      return Flow::kNext;
    case StatementKind::kFor:
      return execute_for(statement);
    case StatementKind::kIf:
      return execute_if(statement);
    case StatementKind::kSet:
      assign(*statement.target, evaluate(*statement.value));
      return Flow::kNext;
    case StatementKind::kSetBlock:
      return execute_set_block(statement);
    case StatementKind::kMacro:
      set(statement.macro.name, make_macro(statement.macro));
      return Flow::kNext;
    case StatementKind::kCallBlock:
      execute_call_block(statement);
      return Flow::kNext;
    case StatementKind::kFilterBlock:
      return execute_filter_block(statement);
    case StatementKind::kScope:
      return execute_scope(statement);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_if(const Statement& statement) {
  const Deeper deeper(*this);
  for (const auto& [test, body] : statement.branches) {
    if (truth(evaluate(*test))) return execute(body);
  }
  return execute(statement.else_body);
}

Interpreter::Flow Interpreter::execute_scope(const Statement& statement) {
  const Deeper deeper(*this);
  const std::vector<Value> values = evaluate_all(statement.expressions);
  const Inner inner(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) assign(*statement.targets[i], values[i]);
  return execute(statement.body);
}

Interpreter::Flow Interpreter::execute_set_block(const Statement& statement) {
  const Deeper deeper(*this);
  Value value;
  {
    const Inner inner(*this, scope_);
    Capture capture(*this);
    const Flow flow = execute(statement.body);
    if (flow != Flow::kNext) return flow;
    value = Value(capture.take());
    if (statement.value != nullptr) value = evaluate_filter(*statement.value, &value);
  }
  assign(*statement.target, value);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_filter_block(const Statement& statement) {
  const Deeper deeper(*this);
  const Inner inner(*this, scope_);
  Capture capture(*this);
  const Flow flow = execute(statement.body);
  if (flow != Flow::kNext) return flow;
  const Value text(capture.take());
  capture.end();
  const Value filtered = evaluate_filter(*statement.value, &text);
  if (!filtered.is_text()) {
    throw Failure(
        fmt::format("a filter block should give a str, but it gives '{}'", filtered.type_name()));
  }
  write(filtered.bytes());
  return Flow::kNext;
}

void Interpreter::set(const std::string& name, const Value& value) {
  for (auto& known : scope_->names) {
    if (known.first != name) continue;
    known.second = value;
    return;
  }
  meter_.allocate(sizeof(Value) + name.size());
  scope_->names.emplace_back(name, value);
}

void Interpreter::assign(const Expression& target, const Value& value) {
  if (target.kind == ExpressionKind::kName) return set(target.text, value);
  if (target.kind == ExpressionKind::kAttribute) {
    Namespace* space = name(target.parts[0]->text).namespace_or_null();
    if (space == nullptr) throw Failure("cannot assign attribute on non-namespace object");
    for (auto& known : space->attributes) {
      if (known.first != target.text) continue;
      known.second = value;
      return;
    }
    space->attributes.emplace_back(target.text, value);
    return;
  }
  const std::vector<Value> items = iterate(value, meter_);
  if (items.size() != target.parts.size()) {
    throw Failure(
        fmt::format("{} values to unpack into {} names", items.size(), target.parts.size()));
  }
  for (std::size_t i = 0; i < items.size(); ++i) assign(*target.parts[i], items[i]);
}

Value Interpreter::name(const std::string& wanted) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->outer) {
    for (const auto& known : scope->names) {
      if (known.first == wanted) return known.second;
    }
    meter_.step();
  }
  if (const auto function = find_function(wanted)) return *function;
  return Value::undefined(fmt::format("'{}' is undefined", wanted));
}

Value Interpreter::make_namespace(std::vector<std::pair<std::string, Value>> attributes) {
  auto space = std::make_shared<Namespace>();
  space->attributes = std::move(attributes);
  meter_.allocate(sizeof(Namespace));
  namespaces_.push_back(space);
  return space;
}

}  // namespace loadline::jinja
