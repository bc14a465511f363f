#include "jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

constexpr int kDeepestTree = 250;

}  // namespace

ExpressionPtr ExpressionParser::make(ExpressionKind kind, int line,
                                     std::vector<ExpressionPtr> parts, std::string text) {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = line;
  made->text = std::move(text);
  made->parts = std::move(parts);
  update_depth(*made);
  return made;
}

void ExpressionParser::update_depth(Expression& expression) const {
  int deepest = 0;
  const auto look = [&](const ExpressionPtr& part) {
    if (part != nullptr) deepest = std::max(deepest, part->depth);
  };
  for (const auto& part : expression.parts) look(part);
  for (const auto& part : expression.positional) look(part);
  for (const auto& part : expression.named) look(part.second);
  look(expression.spread);
  look(expression.spread_named);
  expression.depth = deepest + 1;
  if (expression.depth > kDeepestTree) {
    stream_.fail(fmt::format("an expression has more than {} levels", kDeepestTree));
  }
}

namespace {

std::vector<ExpressionPtr> pack(ExpressionPtr first, ExpressionPtr second = nullptr) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(first));
  if (second != nullptr) parts.push_back(std::move(second));
  return parts;
}

}  // namespace

ExpressionPtr ExpressionParser::expression() {
  const Nesting nesting(depth, stream_);
  const int line = stream_.current().line;
  ExpressionPtr first = or_expression();
  while (stream_.skip_name("if")) {
    ++conditions;
    std::vector<ExpressionPtr> parts;
    parts.push_back(or_expression());
    parts.push_back(std::move(first));
    parts.push_back(stream_.skip_name("else") ? expression() : nullptr);
    --conditions;
    first = make(ExpressionKind::kConditional, line, std::move(parts));
  }
  return first;
}

ExpressionPtr ExpressionParser::or_expression() {
  const int line = stream_.current().line;
  ExpressionPtr left = and_expression();
  while (stream_.skip_name("or")) {
    left = make(ExpressionKind::kOr, line, pack(std::move(left), and_expression()));
  }
  return left;
}

ExpressionPtr ExpressionParser::and_expression() {
  const int line = stream_.current().line;
  ExpressionPtr left = not_expression();
  while (stream_.skip_name("and")) {
    left = make(ExpressionKind::kAnd, line, pack(std::move(left), not_expression()));
  }
  return left;
}

ExpressionPtr ExpressionParser::not_expression() {
  const int line = stream_.current().line;
  if (!stream_.skip_name("not")) return comparison();
  const Nesting nesting(depth, stream_);
  return make(ExpressionKind::kNot, line, pack(not_expression()));
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = stream_.current().line;
  std::vector<ExpressionPtr> parts = pack(sum());
  std::vector<std::string> operators;
  while (true) {
    const std::string op = stream_.current().text;
    if (stream_.is(TokenKind::kOperator) &&
        (op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">=")) {
      stream_.take();
      operators.push_back(op);
    } else if (stream_.skip_name("in")) {
      operators.emplace_back("in");
    } else if (stream_.is_name("not") && stream_.after().kind == TokenKind::kName &&
               stream_.after().text == "in") {
      stream_.take();
      stream_.take();
      operators.emplace_back("not in");
    } else {
      break;
    }
    parts.push_back(sum());
  }
  if (operators.empty()) return std::move(parts.front());
  ExpressionPtr made = make(ExpressionKind::kCompare, line, std::move(parts));
  made->operators = std::move(operators);
  return made;
}

ExpressionPtr ExpressionParser::sum() {
  const int line = stream_.current().line;
  ExpressionPtr left = concatenation();
  while (stream_.is_operator("+") || stream_.is_operator("-")) {
    std::string op = stream_.take().text;
    left = make(ExpressionKind::kArithmetic, line, pack(std::move(left), concatenation()),
                std::move(op));
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = stream_.current().line;
  std::vector<ExpressionPtr> parts = pack(product());
  while (stream_.skip_operator("~")) parts.push_back(product());
  if (parts.size() == 1) return std::move(parts.front());
  return make(ExpressionKind::kConcat, line, std::move(parts));
}

ExpressionPtr ExpressionParser::product() {
  const int line = stream_.current().line;
  ExpressionPtr left = power();
  while (stream_.is_operator("*") || stream_.is_operator("/") || stream_.is_operator("//") ||
         stream_.is_operator("%")) {
    std::string op = stream_.take().text;
    left = make(ExpressionKind::kArithmetic, line, pack(std::move(left), power()), std::move(op));
  }
  return left;
}

ExpressionPtr ExpressionParser::power() {
  const int line = stream_.current().line;
  ExpressionPtr left = unary();
  while (stream_.skip_operator("**")) {
    left = make(ExpressionKind::kArithmetic, line, pack(std::move(left), unary()), "**");
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filter) {
  const int line = stream_.current().line;
  ExpressionPtr node;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    const Nesting nesting(depth, stream_);
    const bool negative = stream_.take().text == "-";
    node = make(negative ? ExpressionKind::kNegative : ExpressionKind::kPositive, line,
                pack(unary(false)));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = stream_.current();
  switch (token.kind) {
    case TokenKind::kName:
      return name_or_constant();
    case TokenKind::kString: {
      std::string text;
      while (stream_.is(TokenKind::kString)) text += stream_.take().text;
      ExpressionPtr made = make(ExpressionKind::kConstant, token.line);
      made->constant = Value(std::move(text));
      return made;
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      stream_.take();
      ExpressionPtr made = make(ExpressionKind::kConstant, token.line);
      made->constant =
          token.kind == TokenKind::kInteger ? Value(token.integer) : Value(token.number);
      return made;
    }
    default:
      break;
  }
  if (stream_.skip_operator("(")) {
    const Nesting nesting(depth, stream_);
    ExpressionPtr inner;
    if (stream_.is_operator(")")) {
      inner = make(ExpressionKind::kTuple, token.line);
    } else {
      inner = tuple();
    }
    stream_.expect_operator(")");
    return inner;
  }
  if (stream_.is_operator("[")) return list();
  if (stream_.is_operator("{")) return dict();
  stream_.fail_unexpected("an expression");
}

ExpressionPtr ExpressionParser::name_or_constant() {
  const Token token = stream_.take();
  const std::string& name = token.text;
  const bool is_true = name == "true" || name == "True";
  if (is_true || name == "false" || name == "False") {
    ExpressionPtr made = make(ExpressionKind::kConstant, token.line);
    made->constant = Value(is_true);
    return made;
  }
  if (name == "none" || name == "None") return make(ExpressionKind::kConstant, token.line);
  names.insert(name);
  return make(ExpressionKind::kName, token.line, {}, name);
}

ExpressionPtr ExpressionParser::list() {
  const Nesting nesting(depth, stream_);
  const int line = stream_.take().line;
  std::vector<ExpressionPtr> items;
  while (!stream_.is_operator("]")) {
    if (!items.empty()) stream_.expect_operator(",");
    if (stream_.is_operator("]")) break;
    items.push_back(expression());
  }
  stream_.expect_operator("]");
  return make(ExpressionKind::kList, line, std::move(items));
}

ExpressionPtr ExpressionParser::dict() {
  const Nesting nesting(depth, stream_);
  const int line = stream_.take().line;
  std::vector<ExpressionPtr> parts;
  while (!stream_.is_operator("}")) {
    if (!parts.empty()) stream_.expect_operator(",");
    if (stream_.is_operator("}")) break;
    parts.push_back(expression());
    stream_.expect_operator(":");
    parts.push_back(expression());
  }
  stream_.expect_operator("}");
  return make(ExpressionKind::kDict, line, std::move(parts));
}

bool ExpressionParser::is_tuple_end(std::string_view end) const {
  return stream_.is(TokenKind::kVariableEnd) || stream_.is(TokenKind::kBlockEnd) ||
         stream_.is_operator(")") || (!end.empty() && stream_.is_name(end));
}

ExpressionPtr ExpressionParser::tuple(bool with_inline_if, std::string_view end) {
  const int line = stream_.current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) stream_.expect_operator(",");
    if (is_tuple_end(end)) break;
    items.push_back(with_inline_if ? expression() : or_expression());
    if (!stream_.is_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return make(ExpressionKind::kTuple, line, std::move(items));
  if (items.empty()) stream_.fail_unexpected("an expression");
  return std::move(items.front());
}

ExpressionPtr ExpressionParser::simple_tuple(std::string_view end) {
  const Nesting nesting(depth, stream_);
  const int line = stream_.current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) stream_.expect_operator(",");
    if (is_tuple_end(end)) break;
    const bool nested = stream_.skip_operator("(");
    if (nested) {
      items.push_back(simple_tuple({}));
      stream_.expect_operator(")");
    } else {
      const Token token = stream_.current();
      items.push_back(primary());
      if (items.back()->kind != ExpressionKind::kName) {
        throw SyntaxError(token.line, fmt::format("cannot assign to '{}'", token.text));
      }
    }
    if (!stream_.is_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return make(ExpressionKind::kTuple, line, std::move(items));
  if (items.empty()) stream_.fail_unexpected("a name");
  return std::move(items.front());
}

ExpressionPtr ExpressionParser::target(bool with_namespace, std::string_view end) {
  const Token token = stream_.current();
  const Token next = stream_.after();
  const bool dotted = next.kind == TokenKind::kOperator && next.text == ".";
  if (!with_namespace || !dotted) return simple_tuple(end);
  ExpressionPtr space = make(ExpressionKind::kName, token.line, {}, stream_.expect_any_name());
  names.insert(space->text);
  stream_.expect_operator(".");
  return make(ExpressionKind::kAttribute, token.line, pack(std::move(space)),
              stream_.expect_any_name());
}

}  // namespace loadline::jinja
