// What a part of a rendering changes and gives back: the scope, the depth, the output.
#pragma once

#include <fmt/format.h>

#include <string>

#include "jinja/interpreter.h"

namespace loadline::jinja {

class Interpreter::Deeper {
 public:
  explicit Deeper(Interpreter& interpreter) : interpreter_(interpreter) {
    if (interpreter_.depth_ >= kDeepest) {
      throw Failure(fmt::format("the template calls or nests deeper than {} levels", kDeepest));
    }
    ++interpreter_.depth_;
  }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  ~Deeper() { --interpreter_.depth_; }

 private:
  Interpreter& interpreter_;
};

class Interpreter::Inner {
 public:
  Inner(Interpreter& interpreter, Scope* outer)
      : interpreter_(interpreter), before_(interpreter.scope_) {
    interpreter_.scopes_.push_back({outer, {}});
    interpreter_.scope_ = &interpreter_.scopes_.back();
  }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;
  ~Inner() {
    interpreter_.scope_ = before_;
    // A scope that a macro was made in, or one below it, stays.
    if (interpreter_.scopes_.size() > interpreter_.kept_scopes_) interpreter_.scopes_.pop_back();
  }

 private:
  Interpreter& interpreter_;
  Scope* before_;
};

class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter)
      : interpreter_(interpreter), before_(interpreter.out_) {
    interpreter_.out_ = &text_;
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() { end(); }
  void end() { interpreter_.out_ = before_; }
  std::string take() {
    interpreter_.meter_.allocate(text_.size());
    return std::move(text_);
  }

 private:
  Interpreter& interpreter_;
  std::string* before_;
  std::string text_;
};

}  // namespace loadline::jinja
