// What stands behind an expression: attributes, subscripts, calls, filters and tests.
#include <fmt/format.h>

#include <array>

#include "jinja/parser.h"
#include "jinja/registry.h"

namespace loadline::jinja {
namespace {

std::vector<ExpressionPtr> only(ExpressionPtr part) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(part));
  return parts;
}

}  // namespace

ExpressionPtr ExpressionParser::postfix(ExpressionPtr subject) {
  while (true) {
    if (stream_.is_operator(".")) {
      subject = attribute(std::move(subject));
    } else if (stream_.is_operator("[")) {
      subject = subscript(std::move(subject));
    } else if (stream_.is_operator("(")) {
      subject = call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr subject) {
  while (true) {
    if (stream_.is_operator("|")) {
      subject = filter_chain(std::move(subject));
    } else if (stream_.is_name("is")) {
      subject = test(std::move(subject));
    } else if (stream_.is_operator("(")) {
      subject = call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExpressionPtr ExpressionParser::attribute(ExpressionPtr subject) {
  const int line = stream_.take().line;
  const Token name = stream_.take();
  if (name.kind == TokenKind::kName) {
    return make(ExpressionKind::kAttribute, line, only(std::move(subject)), name.text);
  }
  if (name.kind != TokenKind::kInteger) stream_.fail("expected a name or a number after '.'");
  std::vector<ExpressionPtr> parts = only(std::move(subject));
  parts.push_back(make(ExpressionKind::kConstant, line));
  parts.back()->constant = Value(name.integer);
  return make(ExpressionKind::kItem, line, std::move(parts));
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr subject) {
  const Nesting nesting(depth, stream_);
  const int line = stream_.take().line;
  std::vector<ExpressionPtr> parts = only(std::move(subject));
  const bool slice_at_once = stream_.is_operator(":");
  parts.push_back(slice_at_once ? nullptr : expression());
  if (!stream_.is_operator(":")) {
    if (stream_.is_operator(",")) {  // x[1, 2] asks for the item (1, 2)
      std::vector<ExpressionPtr> items = only(std::move(parts.back()));
      while (stream_.skip_operator(",")) items.push_back(expression());
      parts.back() = make(ExpressionKind::kTuple, line, std::move(items));
    }
    stream_.expect_operator("]");
    return make(ExpressionKind::kItem, line, std::move(parts));
  }
  for (int i = 0; i < 2; ++i) {
    const bool given = stream_.skip_operator(":");
    const bool empty = !given || stream_.is_operator(":") || stream_.is_operator("]");
    parts.push_back(empty ? nullptr : expression());
  }
  stream_.expect_operator("]");
  return make(ExpressionKind::kSlice, line, std::move(parts));
}

ExpressionPtr ExpressionParser::call(ExpressionPtr subject) {
  ExpressionPtr made =
      make(ExpressionKind::kCall, stream_.current().line, only(std::move(subject)));
  arguments(*made);
  return made;
}

std::string ExpressionParser::dotted_name() {
  std::string name = stream_.expect_any_name();
  while (stream_.skip_operator(".")) name.append(1, '.').append(stream_.expect_any_name());
  return name;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr subject) {
  const int line = stream_.current().line;
  std::string name = dotted_name();
  if (conditions == 0 && find_filter(name) == nullptr) {
    throw SyntaxError(line, fmt::format("no filter named '{}'", name));
  }
  ExpressionPtr made =
      make(ExpressionKind::kFilter, line, only(std::move(subject)), std::move(name));
  if (stream_.is_operator("(")) arguments(*made);
  return made;
}

ExpressionPtr ExpressionParser::filter_chain(ExpressionPtr subject) {
  while (stream_.skip_operator("|")) subject = filter(std::move(subject));
  return subject;
}

ExpressionPtr ExpressionParser::filter_without_subject() { return filter_chain(filter(nullptr)); }

ExpressionPtr ExpressionParser::test(ExpressionPtr subject) {
  const int line = stream_.take().line;
  const bool negated = stream_.skip_name("not");
  std::string name = dotted_name();
  if (conditions == 0 && find_test(name) == nullptr) {
    throw SyntaxError(line, fmt::format("no test named '{}'", name));
  }
  ExpressionPtr made = make(ExpressionKind::kTest, line, only(std::move(subject)), std::move(name));
  const Token& next = stream_.current();
  const bool value_follows = next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                             next.kind == TokenKind::kFloat || stream_.is_operator("[") ||
                             stream_.is_operator("{");
  const bool name_follows = next.kind == TokenKind::kName && next.text != "else" &&
                            next.text != "or" && next.text != "and";
  if (stream_.is_operator("(")) {
    arguments(*made);
  } else if (value_follows || name_follows) {
    if (stream_.is_name("is")) stream_.fail("tests cannot be chained with 'is'");
    made->positional.push_back(postfix(primary()));
    update_depth(*made);
  }
  if (!negated) return made;
  return make(ExpressionKind::kNot, line, only(std::move(made)));
}

void ExpressionParser::arguments(Expression& into) {
  const Nesting nesting(depth, stream_);
  stream_.expect_operator("(");
  bool first = true;
  while (!stream_.is_operator(")")) {
    if (!first) {
      stream_.expect_operator(",");
      if (stream_.is_operator(")")) break;
    }
    first = false;
    if (!argument(into)) stream_.fail("invalid syntax for a function call");
  }
  stream_.expect_operator(")");
  update_depth(into);
}

// False when an argument of this kind must not follow those before it.
bool ExpressionParser::argument(Expression& into) {
  if (stream_.skip_operator("*")) {
    if (into.spread != nullptr || into.spread_named != nullptr) return false;
    into.spread = expression();
    return true;
  }
  if (stream_.skip_operator("**")) {
    if (into.spread_named != nullptr) return false;
    into.spread_named = expression();
    return true;
  }
  const Token& next = stream_.after();
  if (stream_.is(TokenKind::kName) && next.kind == TokenKind::kOperator && next.text == "=") {
    if (into.spread_named != nullptr) return false;
    std::string name = stream_.take().text;
    stream_.take();
    for (const auto& given : into.named) {
      if (given.first == name) stream_.fail(fmt::format("'{}' is given twice", name));
    }
    into.named.emplace_back(std::move(name), expression());
    return true;
  }
  if (into.spread != nullptr || into.spread_named != nullptr || !into.named.empty()) return false;
  into.positional.push_back(expression());
  return true;
}

}  // namespace loadline::jinja
