// Walks a template's tree and writes its text.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/value.h"

namespace loadline::jinja {

// The names that a part of the template has set; what is not here is looked up further out.
struct Scope {
  Scope* outer = nullptr;
  std::vector<std::pair<std::string, Value>> names;
};

// One rendering. Throws Failure; line() then says where.
class Interpreter {
 public:
  explicit Interpreter(std::vector<std::pair<std::string, Value>> variables, Meter& meter);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter();

  std::string run(const Body& body);
  [[nodiscard]] int line() const { return line_; }

  // For filters, tests and functions.
  [[nodiscard]] Meter& meter() { return meter_; }
  Value call(const Value& callee, Arguments& arguments);
  Value apply_filter(std::string_view name, const Value& subject, Arguments& arguments);
  bool apply_test(std::string_view name, const Value& subject, Arguments& arguments);
  // subject.name and subject[key]; undefined when there is none.
  Value attribute(const Value& subject, const std::string& name);
  Value subscript(const Value& subject, const Value& key);
  Value make_namespace(std::vector<std::pair<std::string, Value>> attributes);

 private:
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };
  static constexpr int kDeepest = 400;

  class Inner;    // a scope for as long as it lives
  class Deeper;   // counts depth for as long as it lives
  class Capture;  // output goes to a text for as long as it lives

  Flow execute(const Body& body);
  Flow execute(const Statement& statement);
  Flow execute_if(const Statement& statement);
  Flow execute_for(const Statement& statement);
  Flow loop_over(const Statement& statement, const Value& iterable, int loop_depth);
  std::vector<Value> loop_items(const Statement& statement, const Value& iterable);
  Flow execute_scope(const Statement& statement);
  Flow execute_set_block(const Statement& statement);
  Flow execute_filter_block(const Statement& statement);
  void execute_call_block(const Statement& statement);
  Value make_macro(const Macro& macro);
  Value call_macro(const Macro& macro, Scope* home, Arguments& arguments);
  void bind_macro(const Macro& macro, Arguments& arguments);
  void assign(const Expression& target, const Value& value);
  void set(const std::string& name, const Value& value);
  void write(std::string_view text);

  Value evaluate(const Expression& expression);
  Value evaluate_parts(const Expression& expression);
  Value name(const std::string& name);
  Value evaluate_comparison(const Expression& expression);
  Value evaluate_concat(const Expression& expression);
  Value evaluate_dict(const Expression& expression);
  Value evaluate_slice(const Expression& expression);
  Value evaluate_conditional(const Expression& expression);
  Value evaluate_filter(const Expression& expression, const Value* block_subject);
  std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& expressions);
  Arguments evaluate_arguments(const Expression& expression);

  std::deque<Scope> scopes_;  // a macro may keep one alive until the end
  std::size_t kept_scopes_ = 0;
  Scope* scope_ = nullptr;
  std::vector<std::shared_ptr<Namespace>>
      namespaces_;  // emptied at the end: they may hold themselves
  std::string* out_ = nullptr;
  Meter& meter_;
  int depth_ = 0;
  int line_ = 1;
};

}  // namespace loadline::jinja
