// Tokens to a tree, with Jinja's grammar and precedence.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace loadline::jinja {

struct Program {
  Body body;
  std::set<std::string> names;  // that it reads, its own variables among them
};

// Throws SyntaxError for what Jinja does not take, for a tag, filter or test that is not supported,
// and for nesting deeper than 100 levels.
Program parse_template(std::string_view source);

// Where the parser stands in the tokens.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] const Token& current() const { return tokens_[at_]; }
  [[nodiscard]] const Token& after() const {
    return tokens_[std::min(at_ + 1, tokens_.size() - 1)];
  }
  Token take();
  [[nodiscard]] bool is(TokenKind kind) const { return current().kind == kind; }
  [[nodiscard]] bool is_operator(std::string_view text) const;
  [[nodiscard]] bool is_name(std::string_view text) const;
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  std::string expect_any_name();
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

// Counts how deep the parser is, for as long as it lives.
class Nesting {
 public:
  static constexpr int kDeepest = 100;
  Nesting(int& depth, const TokenStream& stream);
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { --depth_; }

 private:
  int& depth_;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExpressionPtr expression();     // with an inline if
  ExpressionPtr or_expression();  // without
  // Expressions with commas between them are a tuple. `end` is a name that ends it.
  ExpressionPtr tuple(bool with_inline_if = true, std::string_view end = {});
  // What `set`, `for` and `with` write to: a name, names with commas, or (`set`) ns.name.
  ExpressionPtr target(bool with_namespace, std::string_view end = {});
  ExpressionPtr filter_chain(ExpressionPtr subject);  // |name ... after a subject or `set x`
  ExpressionPtr filter_without_subject();             // name|name of a filter block

  // Inside an if an unknown filter or test is an error only when it is reached.
  int conditions = 0;
  // Nesting of tags and expressions together.
  int depth = 0;
  // Every name that was read since the caller cleared it.
  std::set<std::string> names;

 private:
  ExpressionPtr make(ExpressionKind kind, int line, std::vector<ExpressionPtr> parts = {},
                     std::string text = {});
  ExpressionPtr and_expression();
  ExpressionPtr not_expression();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filter = true);
  ExpressionPtr primary();
  ExpressionPtr name_or_constant();
  ExpressionPtr postfix(ExpressionPtr subject);
  ExpressionPtr filters_and_tests(ExpressionPtr subject);
  ExpressionPtr attribute(ExpressionPtr subject);
  ExpressionPtr subscript(ExpressionPtr subject);
  ExpressionPtr call(ExpressionPtr subject);
  ExpressionPtr filter(ExpressionPtr subject);
  ExpressionPtr test(ExpressionPtr subject);
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr simple_tuple(std::string_view end);
  void arguments(Expression& into);
  bool argument(Expression& into);
  std::string dotted_name();
  [[nodiscard]] bool is_tuple_end(std::string_view end) const;
  void update_depth(Expression& expression) const;

  TokenStream& stream_;
};

}  // namespace loadline::jinja
