#include "text/decoder.h"

#include <utility>
#include <variant>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace loadline {
namespace {

using Tokens = std::vector<std::string>;

struct ByteLevel {};
struct ByteFallback {};
struct Fuse {};
struct Replace {
  Pattern pattern;
  std::string content;
};
struct Strip {
  std::string content;  // one character
  std::int64_t start, stop;
};
struct Metaspace {
  std::string replacement;
  bool drops_first;
};
struct WordSuffix {
  std::string suffix;
};
struct WordPiece {
  std::string prefix;
  bool cleanup;  // no blanks before punctuation
};

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// False when a character is not of the byte alphabet.
bool append_bytes(std::string_view token, std::string& to) {
  const std::size_t before = to.size();
  while (!token.empty()) {
    const CodePoint c = first_code_point(token);
    const int byte = byte_of_character(c.value);
    if (byte < 0) {
      to.resize(before);
      return false;
    }
    to += static_cast<char>(byte);
    token.remove_prefix(c.bytes);
  }
  return true;
}

void apply_step(const ByteLevel&, Tokens& tokens, MatchScratch&) {
  std::string bytes;
  for (const std::string& token : tokens) {
    if (!append_bytes(token, bytes)) bytes += token;
  }
  std::string storage;
  tokens = {std::string(valid_utf8(bytes, storage))};
}

// The byte of "<0x41>", or -1.
int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = 0;
  for (const char c : token.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    byte = byte * 16 + digit;
  }
  return byte;
}

void apply_step(const ByteFallback&, Tokens& tokens, MatchScratch&) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    const int byte = byte_of_token(token);
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens.swap(out);
}

void apply_step(const Fuse&, Tokens& tokens, MatchScratch&) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens = {std::move(all)};
}

void apply_step(const Replace& step, Tokens& tokens, MatchScratch& scratch) {
  for (std::string& token : tokens) {
    std::string replaced;
    std::size_t done = 0;
    Pattern::Cursor cursor;
    Pattern::Match match{};
    while (step.pattern.next(token, cursor, match, scratch)) {
      replaced.append(token, done, match.begin - done).append(step.content);
      done = match.end;
    }
    replaced.append(token, done);
    token.swap(replaced);
  }
}

void apply_step(const Strip& step, Tokens& tokens, MatchScratch&) {
  for (std::string& token : tokens) {
    std::string_view rest = token;
    for (std::int64_t i = 0; i < step.start && rest.starts_with(step.content); ++i) {
      rest.remove_prefix(step.content.size());
    }
    for (std::int64_t i = 0; i < step.stop && rest.ends_with(step.content); ++i) {
      rest.remove_suffix(step.content.size());
    }
    token = std::string(rest);
  }
}

void apply_step(const Metaspace& step, Tokens& tokens, MatchScratch&) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    replace_all(tokens[i], step.replacement, i == 0 && step.drops_first ? "" : " ");
  }
}

void apply_step(const WordSuffix& step, Tokens& tokens, MatchScratch&) {
  if (step.suffix.empty()) return;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    replace_all(tokens[i], step.suffix, i + 1 == tokens.size() ? "" : " ");
  }
}

void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kCleaner[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [what, with] : kCleaner) replace_all(text, what, with);
}

void apply_step(const WordPiece& step, Tokens& tokens, MatchScratch&) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && tokens[i].starts_with(step.prefix)) {
      tokens[i].erase(0, step.prefix.size());
    } else if (i > 0) {
      tokens[i].insert(tokens[i].begin(), ' ');
    }
    if (step.cleanup) clean_up(tokens[i]);
  }
}

}  // namespace

struct Decoder::Step {
  std::variant<ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, WordSuffix, WordPiece>
      value;
};

Decoder::Decoder() = default;
Decoder::Decoder(const Json& value, const std::string& source) : present_(!value.is_null()) {
  if (present_) add(value, source);
}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

void Decoder::add(const Json& value, const std::string& source) {
  const std::string type = json_string(value, "type", source);
  if (type == "Sequence") {
    const Json* members = json_find(value, "decoders");
    if (members == nullptr || !members->is_array()) {
      throw bad_input("{}: Sequence should have a list 'decoders'", source);
    }
    for (const Json& member : *members) add(member, source);
  } else if (type == "ByteLevel") {
    steps_.push_back({ByteLevel{}});
  } else if (type == "ByteFallback") {
    steps_.push_back({ByteFallback{}});
  } else if (type == "Fuse") {
    steps_.push_back({Fuse{}});
  } else if (type == "Replace") {
    const Json* pattern = json_find(value, "pattern");
    if (pattern == nullptr) throw bad_input("{}: Replace without 'pattern'", source);
    steps_.push_back(
        {Replace{Pattern::parse(*pattern, source), json_string(value, "content", source)}});
  } else if (type == "Strip") {
    const std::string content = json_string(value, "content", source);
    if (content.empty()) throw bad_input("{}: Strip with an empty 'content'", source);
    steps_.push_back(
        {Strip{content, json_int(value, "start", source), json_int(value, "stop", source)}});
  } else if (type == "Metaspace") {
    const std::string replacement = json_string(value, "replacement", source);
    if (replacement.empty()) throw bad_input("{}: Metaspace with an empty 'replacement'", source);
    const Json* scheme = json_find(value, "prepend_scheme");
    const Json* prefix = json_find(value, "add_prefix_space");
    const bool never =
        scheme != nullptr ? *scheme == "never" : prefix != nullptr && *prefix == false;
    steps_.push_back({Metaspace{replacement, !never}});
  } else if (type == "BPEDecoder") {
    steps_.push_back({WordSuffix{json_string(value, "suffix", source)}});
  } else if (type == "WordPiece") {
    steps_.push_back(
        {WordPiece{json_string(value, "prefix", source), json_bool(value, "cleanup", source)}});
  } else {
    throw bad_input("{}: decoder '{}' is not supported", source, type);
  }
}

std::string Decoder::decode(Tokens tokens, MatchScratch& scratch) const {
  for (const Step& step : steps_) {
    std::visit([&](const auto& value) { apply_step(value, tokens, scratch); }, step.value);
  }
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !present_) text += ' ';
    text += tokens[i];
  }
  return text;
}

}  // namespace loadline
