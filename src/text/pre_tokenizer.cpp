#include "text/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace loadline {
namespace {

using Piece = PieceScratch::Piece;

// What becomes of the delimiter that a pattern found.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitByPattern {
  Pattern pattern;
  Behavior behavior;
  bool invert;
};
struct SplitByClass {
  bool (*is_delimiter)(char32_t);
  Behavior behavior;
};
struct SplitByChar {
  char32_t delimiter;
};
struct FixedLength {
  std::size_t characters;
};
struct PrefixSpace {};
struct BytesToCharacters {};
struct Metaspace {
  enum class Prepend { kNever, kFirst, kAlways };
  std::string replacement;
  Prepend prepend;
};

// The part [begin, end) of a text and whether it is a delimiter.
struct Cut {
  std::size_t begin, end;
  bool is_match;
};

Piece part_of(const Piece& piece, std::size_t begin, std::size_t end) {
  return {piece.text.substr(begin, end - begin),
          piece.head > begin ? std::min(piece.head, end) - begin : 0};
}

// Puts the parts out as `behavior` asks.
class Cutter {
 public:
  Cutter(Piece piece, Behavior behavior, std::vector<Piece>& out)
      : piece_(piece), behavior_(behavior), out_(out) {}

  void add(const Cut& cut) {
    const bool joins = joins_open_part(cut);
    previous_ = cut.is_match;
    if (joins && has_open_) {
      open_.end = cut.end;
      return;
    }
    close();
    open_ = cut;
    has_open_ = true;
  }
  void close() {
    const bool dropped = behavior_ == Behavior::kRemoved && open_.is_match;
    if (has_open_ && !dropped && open_.begin < open_.end) {
      out_.push_back(part_of(piece_, open_.begin, open_.end));
    }
    has_open_ = false;
  }

 private:
  [[nodiscard]] bool joins_open_part(const Cut& cut) const {
    switch (behavior_) {
      case Behavior::kRemoved:
      case Behavior::kIsolated:
        return false;
      case Behavior::kContiguous:
        return cut.is_match == previous_;
      case Behavior::kMergedWithPrevious:
        return cut.is_match && !previous_;
      case Behavior::kMergedWithNext:
        // Seen from the end a delimiter joins what follows unless that is a delimiter too.
        return !cut.is_match && previous_;
    }
    return false;
  }

  Piece piece_;
  Behavior behavior_;
  std::vector<Piece>& out_;
  Cut open_{};
  bool has_open_ = false;
  bool previous_ = false;
};

// Calls `add` with the parts of `text` in order, matches and what is between them.
template <typename Add>
void each_part(std::string_view text, const Pattern& pattern, MatchScratch& matches, Add add) {
  Pattern::Cursor cursor;
  Pattern::Match match{};
  std::size_t done = 0;
  while (pattern.next(text, cursor, match, matches)) {
    if (done != match.begin) add(Cut{done, match.begin, false});
    add(Cut{match.begin, match.end, true});
    done = match.end;
  }
  if (done != text.size()) add(Cut{done, text.size(), false});
}

template <typename IsDelimiter, typename Add>
void each_part(std::string_view text, IsDelimiter is_delimiter, Add add) {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(text.substr(at));
    if (is_delimiter(c.value)) {
      if (done != at) add(Cut{done, at, false});
      add(Cut{at, at + c.bytes, true});
      done = at + c.bytes;
    }
    at += c.bytes;
  }
  if (done != text.size()) add(Cut{done, text.size(), false});
}

void apply_step(const SplitByPattern& step, const Piece& piece, PieceScratch& scratch,
                MatchScratch& matches) {
  Cutter cutter(piece, step.behavior, scratch.next);
  each_part(piece.text, step.pattern, matches, [&](Cut cut) {
    cut.is_match = cut.is_match != step.invert;
    cutter.add(cut);
  });
  cutter.close();
}

void apply_step(const SplitByClass& step, const Piece& piece, PieceScratch& scratch,
                MatchScratch&) {
  Cutter cutter(piece, step.behavior, scratch.next);
  each_part(piece.text, step.is_delimiter, [&](const Cut& cut) { cutter.add(cut); });
  cutter.close();
}

void apply_step(const SplitByChar& step, const Piece& piece, PieceScratch& scratch, MatchScratch&) {
  Cutter cutter(piece, Behavior::kRemoved, scratch.next);
  each_part(
      piece.text, [&](char32_t c) { return c == step.delimiter; },
      [&](const Cut& cut) { cutter.add(cut); });
  cutter.close();
}

void apply_step(const FixedLength& step, const Piece& piece, PieceScratch& scratch, MatchScratch&) {
  std::size_t begin = 0;
  std::size_t characters = 0;
  for (std::size_t at = 0; at < piece.text.size();) {
    at += first_code_point(piece.text.substr(at)).bytes;
    if (++characters < step.characters && at < piece.text.size()) continue;
    scratch.next.push_back(part_of(piece, begin, at));
    begin = at;
    characters = 0;
  }
}

// What is put before or instead of characters stems from the same as they.
void put_changed(std::string changed, std::size_t head, PieceScratch& scratch) {
  scratch.texts.push_back(std::move(changed));
  scratch.next.push_back({scratch.texts.back(), head});
}

void apply_step(const PrefixSpace&, const Piece& piece, PieceScratch& scratch, MatchScratch&) {
  if (piece.text.front() == ' ') return scratch.next.push_back(piece);
  put_changed(fmt::format(" {}", piece.text), piece.head > 0 ? piece.head + 1 : 0, scratch);
}

void apply_step(const BytesToCharacters&, const Piece& piece, PieceScratch& scratch,
                MatchScratch&) {
  std::string changed;
  append_byte_characters(changed, piece.text.substr(0, piece.head));
  const std::size_t head = changed.size();
  append_byte_characters(changed, piece.text.substr(piece.head));
  put_changed(std::move(changed), head, scratch);
}

void apply_step(const Metaspace& step, const Piece& piece, PieceScratch& scratch, MatchScratch&) {
  using Prepend = Metaspace::Prepend;
  const bool prepends =
      step.prepend == Prepend::kAlways || (step.prepend == Prepend::kFirst && piece.head > 0);
  const bool has_mark = piece.text.front() == ' ' || piece.text.starts_with(step.replacement);
  std::string changed = prepends && !has_mark ? step.replacement : "";
  std::size_t head = 0;
  for (std::size_t i = 0; i < piece.text.size(); ++i) {
    if (piece.text[i] == ' ') {
      changed += step.replacement;
    } else {
      changed += piece.text[i];
    }
    if (i + 1 == piece.head) head = changed.size();
  }
  put_changed(std::move(changed), head, scratch);
}

Behavior parse_behavior(const Json& value, const std::string& source) {
  const std::string name = json_string(value, "behavior", source);
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  throw bad_input("{}: split behavior '{}' is not supported", source, name);
}

char32_t one_character(const Json& value, std::string_view key, const std::string& source) {
  const std::string text = json_string(value, key, source);
  if (text.empty() || first_code_point(text).bytes != text.size()) {
    throw bad_input("{}: '{}' should be one character, but it is '{}'", source, key, text);
  }
  return first_code_point(text).value;
}

Metaspace::Prepend parse_prepend(const Json& value, const std::string& source) {
  using Prepend = Metaspace::Prepend;
  const bool allowed = json_bool_or(value, "add_prefix_space", true, source);
  if (json_find(value, "prepend_scheme") == nullptr) {
    return allowed ? Prepend::kAlways : Prepend::kNever;
  }
  const std::string scheme = json_string(value, "prepend_scheme", source);
  if (scheme == "never") return Prepend::kNever;
  if (!allowed)
    throw bad_input("{}: add_prefix_space is false, but prepend_scheme is '{}'", source, scheme);
  if (scheme == "first") return Prepend::kFirst;
  if (scheme == "always") return Prepend::kAlways;
  throw bad_input("{}: prepend_scheme '{}' is not supported", source, scheme);
}

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// \w+|[^\w\s]+ as Rust's regex crate has it: its \w holds joiners and no fractions.
constexpr std::string_view kWordsPattern =
    R"([\p{Alphabetic}\p{L}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+)"
    R"(|[^\s\p{Alphabetic}\p{L}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+)";

}  // namespace

struct PreTokenizer::Step {
  std::variant<SplitByPattern, SplitByClass, SplitByChar, FixedLength, PrefixSpace,
               BytesToCharacters, Metaspace>
      value;
};

PreTokenizer::PreTokenizer() = default;
PreTokenizer::PreTokenizer(const Json& value, const std::string& source, bool may_leave_bytes) {
  if (!value.is_null()) add(value, source);
  if (may_leave_bytes && !steps_.empty() &&
      std::holds_alternative<BytesToCharacters>(steps_.back().value)) {
    steps_.pop_back();
    leaves_bytes_ = true;
  }
}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::add(const Json& value, const std::string& source) {
  const std::string type = json_string(value, "type", source);
  if (type == "Sequence") {
    const Json* members = json_find(value, "pretokenizers");
    if (members == nullptr || !members->is_array()) {
      throw bad_input("{}: Sequence should have a list 'pretokenizers'", source);
    }
    for (const Json& member : *members) add(member, source);
  } else if (type == "ByteLevel") {
    if (json_bool_or(value, "add_prefix_space", true, source)) steps_.push_back({PrefixSpace{}});
    if (json_bool_or(value, "use_regex", true, source)) {
      steps_.push_back(
          {SplitByPattern{Pattern::regex(kGpt2Pattern, source), Behavior::kIsolated, false}});
    }
    steps_.push_back({BytesToCharacters{}});
  } else if (type == "Split") {
    const Json* pattern = json_find(value, "pattern");
    if (pattern == nullptr) throw bad_input("{}: Split without 'pattern'", source);
    steps_.push_back(
        {SplitByPattern{Pattern::parse(*pattern, source), parse_behavior(value, source),
                        json_bool_or(value, "invert", false, source)}});
  } else if (type == "Digits") {
    const bool individual = json_bool_or(value, "individual_digits", false, source);
    steps_.push_back(
        {SplitByClass{is_numeric, individual ? Behavior::kIsolated : Behavior::kContiguous}});
  } else if (type == "Punctuation") {
    const bool given = json_find(value, "behavior") != nullptr;
    steps_.push_back({SplitByClass{is_punctuation,
                                   given ? parse_behavior(value, source) : Behavior::kIsolated}});
  } else if (type == "Whitespace") {
    steps_.push_back(
        {SplitByPattern{Pattern::regex(kWordsPattern, source), Behavior::kRemoved, true}});
  } else if (type == "WhitespaceSplit") {
    steps_.push_back({SplitByClass{is_white_space, Behavior::kRemoved}});
  } else if (type == "CharDelimiterSplit") {
    steps_.push_back({SplitByChar{one_character(value, "delimiter", source)}});
  } else if (type == "FixedLength") {
    const std::int64_t length =
        json_find(value, "length") == nullptr ? 5 : json_int(value, "length", source);
    if (length < 1) throw bad_input("{}: FixedLength of {} characters", source, length);
    steps_.push_back({FixedLength{static_cast<std::size_t>(length)}});
  } else if (type == "BertPreTokenizer") {
    steps_.push_back({SplitByClass{is_white_space, Behavior::kRemoved}});
    steps_.push_back({SplitByClass{is_punctuation, Behavior::kIsolated}});
  } else if (type == "Metaspace") {
    std::string replacement;
    append_utf8(replacement, one_character(value, "replacement", source));
    steps_.push_back({Metaspace{replacement, parse_prepend(value, source)}});
    if (json_bool_or(value, "split", true, source)) {
      steps_.push_back(
          {SplitByPattern{Pattern::literal(replacement), Behavior::kMergedWithNext, false}});
    }
  } else {
    throw bad_input("{}: pre-tokenizer '{}' is not supported", source, type);
  }
}

void PreTokenizer::cut(std::string_view text, std::size_t head, PieceScratch& scratch,
                       MatchScratch& matches) const {
  scratch.pieces.clear();
  scratch.texts.clear();
  if (!text.empty()) scratch.pieces.push_back({text, head});
  for (const Step& step : steps_) {
    scratch.next.clear();
    for (const Piece& piece : scratch.pieces) {
      std::visit([&](const auto& value) { apply_step(value, piece, scratch, matches); },
                 step.value);
    }
    scratch.pieces.swap(scratch.next);
  }
}

}  // namespace loadline
