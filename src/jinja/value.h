// The values of a chat template, with Python's meaning: what a name, an expression or a loop
// variable holds. Values are cheap to copy; lists, tuples and dicts never change once made (the
// sandbox of transformers forbids that too), only a namespace does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace loadline::jinja {

// What went wrong in a template, without its place: ChatTemplate adds source and line.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// 128 bits, so that every 64-bit JSON number fits; beyond that is a Failure, never a wrong number.
__extension__ using Integer = __int128;

// The bounds of one rendering. Every operation pays for its work before doing it.
class Meter {
 public:
  static constexpr std::int64_t kSteps = 10'000'000;
  static constexpr std::int64_t kBytes = std::int64_t{512} << 20;  // made, over the whole rendering
  static constexpr std::int64_t kLongestText = std::int64_t{16} << 20;

  // Throws Failure when the rendering has done too much.
  void step(std::int64_t count = 1);
  // Pays for `count` bytes that are read or written.
  void touch(std::size_t count) { step(1 + static_cast<std::int64_t>(count / 32)); }
  // Pays for `count` bytes that will live on.
  void allocate(std::size_t count);
  // Throws Failure for a text longer than kLongestText.
  void check_text(std::size_t size) const;

 private:
  std::int64_t steps_ = 0;
  std::int64_t bytes_ = 0;
};

class Interpreter;
class Value;
struct Dict;
struct Namespace;
struct Callable;
struct Loop;

// Prints as nothing, is false and empty; most other operations fail with `message`.
struct Undefined {
  std::shared_ptr<const std::string> message;
};

struct None {};

// UTF-8. `safe` is Markup: what `safe` and `escape` give.
struct Text {
  std::string bytes;
  bool safe = false;
};

enum class Flavor : std::uint8_t {
  kList,
  kTuple,
  kRange,
  kDictKeys,
  kDictValues,
  kDictItems,
  kIterator,  // what map, select, reverse ... give: can be read once
};

struct Sequence;

class Value {
 public:
  Value() : data_(None{}) {}
  Value(bool truth) : data_(truth) {}                     // NOLINT(google-explicit-constructor)
  Value(Integer number) : data_(number) {}                // NOLINT(google-explicit-constructor)
  Value(int number) : data_(Integer{number}) {}           // NOLINT(google-explicit-constructor)
  Value(std::int64_t number) : data_(Integer{number}) {}  // NOLINT(google-explicit-constructor)
  Value(std::size_t number)                               // NOLINT(google-explicit-constructor)
      : data_(static_cast<Integer>(number)) {}
  Value(double number) : data_(number) {}     // NOLINT(google-explicit-constructor)
  Value(std::string text, bool safe = false)  // NOLINT(google-explicit-constructor)
      : data_(std::make_shared<const Text>(Text{std::move(text), safe})) {}
  Value(std::string_view text) : Value(std::string(text)) {}                       // NOLINT
  Value(const char* text) : Value(std::string(text)) {}                            // NOLINT
  Value(std::shared_ptr<Sequence> sequence) : data_(std::move(sequence)) {}        // NOLINT
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}              // NOLINT
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}             // NOLINT
  Value(std::shared_ptr<const Callable> callable) : data_(std::move(callable)) {}  // NOLINT
  Value(std::shared_ptr<Loop> loop) : data_(std::move(loop)) {}                    // NOLINT
  // A pointer must never become a bool by accident.
  template <typename T>
  Value(T*) = delete;  // NOLINT(google-explicit-constructor)

  static Value undefined(std::string message);
  static Value list(std::vector<Value> items) { return of(Flavor::kList, std::move(items)); }
  static Value tuple(std::vector<Value> items) { return of(Flavor::kTuple, std::move(items)); }
  static Value iterator(std::vector<Value> items) {
    return of(Flavor::kIterator, std::move(items));
  }
  // Throws Failure when the nesting gets deeper than kDeepest.
  static Value of(Flavor flavor, std::vector<Value> items);
  static Value dict(std::vector<std::pair<Value, Value>> entries);

  static constexpr int kDeepest = 100;

  [[nodiscard]] bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  [[nodiscard]] bool is_none() const { return std::holds_alternative<None>(data_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(data_); }
  // A Python int: also True and False.
  [[nodiscard]] bool is_integer() const { return is_bool() || is<Integer>(); }
  [[nodiscard]] bool is_float() const { return std::holds_alternative<double>(data_); }
  [[nodiscard]] bool is_number() const { return is_integer() || is_float(); }
  [[nodiscard]] bool is_text() const { return text_or_null() != nullptr; }

  [[nodiscard]] const Text* text_or_null() const { return pointee<const Text>(); }
  [[nodiscard]] Sequence* sequence_or_null() const { return pointee<Sequence>(); }
  [[nodiscard]] const Dict* dict_or_null() const { return pointee<const Dict>(); }
  [[nodiscard]] Namespace* namespace_or_null() const { return pointee<Namespace>(); }
  [[nodiscard]] const Callable* callable_or_null() const { return pointee<const Callable>(); }
  [[nodiscard]] Loop* loop_or_null() const { return pointee<Loop>(); }
  [[nodiscard]] bool is_sequence(Flavor flavor) const;

  // Of a value for which is_text() / is_integer() / is_number() holds.
  [[nodiscard]] const std::string& bytes() const { return text_or_null()->bytes; }
  [[nodiscard]] Integer integer() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] const std::string& undefined_message() const;

  // How many containers stand inside each other, this one included; 0 for a scalar.
  [[nodiscard]] int depth() const;
  // "str", "int", "dict" ...: Python's name of the type.
  [[nodiscard]] std::string type_name() const;
  // The address for `sameas`; null for what has none.
  [[nodiscard]] const void* identity() const;

 private:
  template <typename T>
  [[nodiscard]] bool is() const {
    return std::holds_alternative<T>(data_);
  }
  template <typename T>
  [[nodiscard]] T* pointee() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  std::variant<None, Undefined, bool, Integer, double, std::shared_ptr<const Text>,
               std::shared_ptr<Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Callable>, std::shared_ptr<Loop>>
      data_;
};

struct Sequence {
  Flavor flavor = Flavor::kList;
  std::vector<Value> items;
  std::size_t next = 0;  // of an iterator: what was read already
  int depth = 1;
  Integer start = 0, stop = 0, stride = 1;  // of a range: how it prints
};

// Keys keep their order and are unlike each other.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;
};

// What {% set ns.name = ... %} writes to. The interpreter owns it: it may hold itself.
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// A macro, a function or a method bound to its value.
struct Callable {
  std::string name;
  std::string kind;  // Python's name of its type
  std::function<Value(Interpreter&, Arguments&)> call;
  int depth = 0;  // of the value it is bound to, and one
};

// The `loop` of a for.
struct Loop {
  std::vector<Value> items;
  std::size_t index0 = 0;
  int loop_depth = 1;
  bool over = false;  // then nothing is kept any more: it could hold the loop itself
  std::optional<std::vector<Value>> last_changed;          // what loop.changed saw last
  std::function<Value(Interpreter&, Arguments&)> recurse;  // of a `recursive` for
  int depth = 1;
};

// Python's truth: False, None, 0, "", empty containers and undefined are false.
bool truth(const Value& value);

// The items of anything that can be looped over; reading an iterator empties it. Throws Failure
// "'int' object is not iterable".
std::vector<Value> iterate(const Value& value, Meter& meter);
bool is_iterable(const Value& value);

// len(value); nullopt where Python has none.
std::optional<std::size_t> length_of(const Value& value, Meter& meter);

// Throws Failure with the undefined value's message.
[[noreturn]] void fail_undefined(const Value& value);
// Throws Failure when `value` is undefined.
void require_defined(const Value& value);

}  // namespace loadline::jinja
