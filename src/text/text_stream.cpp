#include "text/text_stream.h"

#include <algorithm>
#include <string_view>

namespace loadline {
namespace {

// So many tokens before the new ones are decoded with them, for blanks and the like.
constexpr std::size_t kContext = 8;
constexpr std::string_view kTorn = "\xEF\xBF\xBD";

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::span<const std::int32_t> before)
    : tokenizer_(tokenizer) {
  const auto last = before.last(std::min(before.size(), kContext));
  ids_.assign(last.begin(), last.end());
  // Not from within a character: the bytes after it would be torn too.
  while (!ids_.empty() && decoded(ids_.size()).starts_with(kTorn)) ids_.erase(ids_.begin());
  shown_ = ids_.size();
}

std::string TextStream::decoded(std::size_t count) const {
  return tokenizer_.decode(std::span(ids_).first(count), true);
}

std::string TextStream::behind_shown(const std::string& all) const {
  const std::string before = decoded(shown_);
  if (all.starts_with(before)) return all.substr(before.size());
  // A run of bytes is torn as a whole by a stray one, those of shown characters too.
  return tokenizer_.decode(std::span(ids_).subspan(shown_), true);
}

std::string TextStream::push(std::int32_t id) {
  ids_.push_back(id);
  const std::string all = decoded(ids_.size());
  if (all.ends_with(kTorn)) return "";
  std::string fresh = behind_shown(all);
  // What was just shown begins with a whole character: it is what follows' context.
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(shown_));
  shown_ = ids_.size();
  return fresh;
}

std::string TextStream::finish() {
  std::string fresh = behind_shown(decoded(ids_.size()));
  shown_ = ids_.size();
  return fresh;
}

}  // namespace loadline
