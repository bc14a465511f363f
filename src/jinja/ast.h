// What a parsed template is made of. Depths are bounded by the parser, so that walking and
// destroying a tree may recurse.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace loadline::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind : std::uint8_t {
  kConstant,     // constant
  kName,         // text
  kAttribute,    // parts[0].text
  kItem,         // parts[0][parts[1]]
  kSlice,        // parts[0][parts[1]:parts[2]:parts[3]], each of the three may be null
  kCall,         // parts[0](arguments)
  kFilter,       // parts[0]|text(arguments); in a filter block parts[0] is null
  kTest,         // parts[0] is text(arguments)
  kNot,          // not parts[0]
  kNegative,     // -parts[0]
  kPositive,     // +parts[0]
  kArithmetic,   // parts[0] text parts[1]
  kCompare,      // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  kConcat,       // parts joined as texts
  kAnd,          // parts[0] and parts[1]
  kOr,           // parts[0] or parts[1]
  kConditional,  // parts[1] if parts[0] else parts[2]; parts[2] may be null
  kList,         // [parts]
  kTuple,        // (parts); as a target: names to unpack into
  kDict,         // {parts[0]: parts[1], parts[2]: parts[3], ...}
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  int depth = 1;
  std::string text = {};
  Value constant = {};
  std::vector<ExpressionPtr> parts = {};
  std::vector<std::string> operators = {};
  // Arguments of a call, a filter or a test.
  std::vector<ExpressionPtr> positional = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
  ExpressionPtr spread = nullptr;        // *expression
  ExpressionPtr spread_named = nullptr;  // **expression
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

// A macro or the body of a call block.
struct Macro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  Body body;
  bool takes_caller = false;  // the body names `caller`, `varargs`, `kwargs`
  bool takes_varargs = false;
  bool takes_kwargs = false;
};

enum class StatementKind : std::uint8_t {
  kText,         // text
  kOutput,       // expressions
  kFor,          // for target in value if test: body, else_body
  kIf,           // branches, else_body
  kSet,          // target = value
  kSetBlock,     // target = body through value (a filter without subject, or null)
  kMacro,        // macro
  kCallBlock,    // value (a call) with macro as its caller
  kFilterBlock,  // body through value
  kScope,  // with: expressions[i] set in an inner scope to branches... ; generation: no targets
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text = {};
  std::vector<ExpressionPtr> expressions = {};  // kOutput; of kScope the values
  std::vector<ExpressionPtr> targets = {};      // of kScope
  ExpressionPtr target = nullptr;
  ExpressionPtr value = nullptr;
  ExpressionPtr test = nullptr;
  bool recursive = false;
  std::vector<std::pair<ExpressionPtr, Body>> branches = {};
  Body body = {};
  Body else_body = {};
  Macro macro = {};
};

}  // namespace loadline::jinja
