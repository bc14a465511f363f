// Tags to statements, and the token stream that both parsers read.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "jinja/parser.h"

namespace loadline::jinja {

Token TokenStream::take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::is_operator(std::string_view text) const {
  return current().kind == TokenKind::kOperator && current().text == text;
}
bool TokenStream::is_name(std::string_view text) const {
  return current().kind == TokenKind::kName && current().text == text;
}

bool TokenStream::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  take();
  return true;
}
bool TokenStream::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void TokenStream::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_unexpected(fmt::format("'{}'", text));
}
void TokenStream::expect_name(std::string_view text) {
  if (!skip_name(text)) fail_unexpected(fmt::format("'{}'", text));
}
std::string TokenStream::expect_any_name() {
  if (!is(TokenKind::kName)) fail_unexpected("a name");
  return take().text;
}
void TokenStream::expect(TokenKind kind, std::string_view what) {
  if (!is(kind)) fail_unexpected(what);
  take();
}

void TokenStream::fail(const std::string& message) const {
  throw SyntaxError(current().line, message);
}

void TokenStream::fail_unexpected(std::string_view wanted) const {
  switch (current().kind) {
    case TokenKind::kEnd:
      fail(fmt::format("the template ends where {} should stand", wanted));
    case TokenKind::kBlockEnd:
    case TokenKind::kVariableEnd:
      fail(fmt::format("the tag ends where {} should stand", wanted));
    default:
      fail(fmt::format("'{:.60}' stands where {} should", current().text, wanted));
  }
}

Nesting::Nesting(int& depth, const TokenStream& stream) : depth_(depth) {
  if (depth_ >= kDeepest) {
    stream.fail(fmt::format("tags or expressions nested deeper than {} levels", kDeepest));
  }
  ++depth_;
}

namespace {

using Ends = std::initializer_list<std::string_view>;

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view source)
      : stream_(tokenize(source)), expressions_(stream_) {}

  Program run() {
    Body body = statements({});
    if (!stream_.is(TokenKind::kEnd)) stream_.fail_unexpected("text or a tag");
    return {std::move(body), std::move(expressions_.names)};
  }

 private:
  // Up to a tag whose name is in `ends`, the stream then standing on that name.
  Body statements(Ends ends) {
    const Nesting nesting(expressions_.depth, stream_);
    Body body;
    while (!stream_.is(TokenKind::kEnd)) {
      auto made = std::make_unique<Statement>();
      made->line = stream_.current().line;
      if (stream_.is(TokenKind::kData)) {
        made->text = stream_.take().text;
      } else if (stream_.is(TokenKind::kVariableBegin)) {
        stream_.take();
        made->kind = StatementKind::kOutput;
        made->expressions.push_back(expressions_.tuple());
        stream_.expect(TokenKind::kVariableEnd, "'}}'");
      } else {
        stream_.expect(TokenKind::kBlockBegin, "a tag");
        const auto is_end = [&](std::string_view end) { return stream_.is_name(end); };
        if (std::any_of(ends.begin(), ends.end(), is_end)) return body;
        tag(*made);
        stream_.expect(TokenKind::kBlockEnd, "'%}'");
      }
      body.push_back(std::move(made));
    }
    if (ends.size() > 0)
      stream_.fail(fmt::format("the template ends without '{}'", *(ends.end() - 1)));
    return body;
  }

  // The body of a tag, its end tag's name read.
  Body block(std::string_view end) {
    stream_.expect(TokenKind::kBlockEnd, "'%}'");
    Body body = statements({end});
    stream_.expect_name(end);
    return body;
  }

  void tag(Statement& made) {
    if (!stream_.is(TokenKind::kName)) stream_.fail_unexpected("the name of a tag");
    const Token token = stream_.take();
    const std::string& name = token.text;
    if (name == "for") return for_tag(made);
    if (name == "if") return if_tag(made);
    if (name == "set") return set_tag(made);
    if (name == "macro") return macro_tag(made);
    if (name == "call") return call_tag(made);
    if (name == "filter") return filter_tag(made);
    if (name == "with") return with_tag(made);
    if (name == "generation") return generation_tag(made);
    if (name == "print") return print_tag(made);
    if (name == "break" || name == "continue") return loop_control(made, token);
    throw SyntaxError(token.line,
                      fmt::format("the tag '{}' is unknown or not supported here", name));
  }

  void for_tag(Statement& made) {
    made.kind = StatementKind::kFor;
    made.target = expressions_.target(false, "in");
    stream_.expect_name("in");
    made.value = expressions_.tuple(false, "recursive");
    if (stream_.skip_name("if")) made.test = expressions_.expression();
    made.recursive = stream_.skip_name("recursive");
    stream_.expect(TokenKind::kBlockEnd, "'%}'");
    ++loops_;
    made.body = statements({"else", "endfor"});
    --loops_;
    if (stream_.skip_name("else")) {
      made.else_body = block("endfor");
    } else {
      stream_.expect_name("endfor");
    }
  }

  void if_tag(Statement& made) {
    made.kind = StatementKind::kIf;
    const int conditions = expressions_.conditions++;
    do {
      ExpressionPtr test = expressions_.tuple(false);
      stream_.expect(TokenKind::kBlockEnd, "'%}'");
      made.branches.emplace_back(std::move(test), statements({"elif", "else", "endif"}));
    } while (stream_.skip_name("elif"));
    if (stream_.skip_name("else")) {
      made.else_body = block("endif");
    } else {
      stream_.expect_name("endif");
    }
    expressions_.conditions = conditions;
  }

  void set_tag(Statement& made) {
    made.target = expressions_.target(true);
    if (stream_.skip_operator("=")) {
      made.kind = StatementKind::kSet;
      made.value = expressions_.tuple();
      return;
    }
    made.kind = StatementKind::kSetBlock;
    if (stream_.is_operator("|")) made.value = expressions_.filter_chain(nullptr);
    made.body = block("endset");
  }

  void signature(Macro& macro) {
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      if (!macro.parameters.empty()) stream_.expect_operator(",");
      const int line = stream_.current().line;
      macro.parameters.push_back(stream_.expect_any_name());
      const auto& all = macro.parameters;
      if (std::count(all.begin(), all.end(), all.back()) > 1) {
        throw SyntaxError(line, fmt::format("the parameter '{}' stands twice", all.back()));
      }
      if (stream_.skip_operator("=")) {
        macro.defaults.push_back(expressions_.expression());
      } else if (!macro.defaults.empty()) {
        throw SyntaxError(line, "a parameter without a default follows one with a default");
      }
    }
    stream_.expect_operator(")");
  }

  // Reads the body and finds which of the special names it uses. A loop outside is out of reach.
  void macro_body(Macro& macro, std::string_view end) {
    std::set<std::string> outer;
    outer.swap(expressions_.names);
    const int loops = std::exchange(loops_, 0);
    macro.body = block(end);
    loops_ = loops;
    const auto uses = [&](const std::string& name) { return expressions_.names.count(name) > 0; };
    macro.takes_caller = uses("caller");
    macro.takes_varargs = uses("varargs");
    macro.takes_kwargs = uses("kwargs");
    expressions_.names.insert(outer.begin(), outer.end());
  }

  void macro_tag(Statement& made) {
    made.kind = StatementKind::kMacro;
    made.macro.name = stream_.expect_any_name();
    signature(made.macro);
    macro_body(made.macro, "endmacro");
  }

  void call_tag(Statement& made) {
    made.kind = StatementKind::kCallBlock;
    made.macro.name = "caller";
    if (stream_.is_operator("(")) signature(made.macro);
    made.value = expressions_.expression();
    if (made.value->kind != ExpressionKind::kCall) stream_.fail("'call' wants a call");
    macro_body(made.macro, "endcall");
  }

  void filter_tag(Statement& made) {
    made.kind = StatementKind::kFilterBlock;
    made.value = expressions_.filter_without_subject();
    made.body = block("endfilter");
  }

  void with_tag(Statement& made) {
    made.kind = StatementKind::kScope;
    while (!stream_.is(TokenKind::kBlockEnd)) {
      if (!made.targets.empty()) stream_.expect_operator(",");
      made.targets.push_back(expressions_.target(false));
      stream_.expect_operator("=");
      made.expressions.push_back(expressions_.expression());
    }
    made.body = block("endwith");
  }

  // Marks what a model said, for masks made elsewhere: here its body and nothing more.
  void generation_tag(Statement& made) {
    made.kind = StatementKind::kScope;
    const int loops = std::exchange(loops_, 0);
    made.body = block("endgeneration");
    loops_ = loops;
  }

  void print_tag(Statement& made) {
    made.kind = StatementKind::kOutput;
    while (!stream_.is(TokenKind::kBlockEnd)) {
      if (!made.expressions.empty()) stream_.expect_operator(",");
      made.expressions.push_back(expressions_.expression());
    }
  }

  void loop_control(Statement& made, const Token& token) {
    if (loops_ == 0) throw SyntaxError(token.line, fmt::format("'{}' outside a loop", token.text));
    made.kind = token.text == "break" ? StatementKind::kBreak : StatementKind::kContinue;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int loops_ = 0;
};

}  // namespace

Program parse_template(std::string_view source) { return TemplateParser(source).run(); }

}  // namespace loadline::jinja
