#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

namespace loadline {
namespace {

constexpr Bytes kMaxFile = 256_MiB;

// A scratch for the time of one call.
class Lent {
 public:
  explicit Lent(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  ~Lent() { pool_.give_back(std::move(scratch_)); }
  TokenizerScratch& operator*() { return *scratch_; }

 private:
  ScratchPool& pool_;
  std::unique_ptr<TokenizerScratch> scratch_;
};

}  // namespace

std::unique_ptr<TokenizerScratch> ScratchPool::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return std::make_unique<TokenizerScratch>();
  auto scratch = std::move(free_.back());
  free_.pop_back();
  return scratch;
}

void ScratchPool::give_back(std::unique_ptr<TokenizerScratch> scratch) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(scratch));
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  return parse(read_file(tokenizer_json, kMaxFile), tokenizer_json.string());
}

Tokenizer Tokenizer::parse(std::string_view document, const std::string& source) {
  return Tokenizer(parse_tokenizer(document, source));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  std::vector<std::int32_t> ids = encode_from(text, 0, nullptr);
  if (add_special) parts_->post_processor.add_special(ids);
  return ids;
}

// Of two that look the same when normalized, the first is found.
void Tokenizer::Parts::add(const std::vector<AddedToken>& tokens) {
  MatchScratch scratch;
  for (const AddedToken& token : tokens) {
    if (token.special) special.insert(token.content);
    if (!added_ids.try_emplace(token.content, token.id).second) continue;
    added[token.id] = token;
    std::string pattern = token.content;
    if (token.normalized) normalizer.apply(pattern, scratch);
    (token.normalized ? in_normalized : in_text).add(token, pattern);
  }
}

void Tokenizer::set_special(std::vector<std::int32_t> before, std::vector<std::int32_t> after) {
  parts_->post_processor = PostProcessor(std::move(before), std::move(after));
}

void Tokenizer::add(const AddedToken& token) { parts_->add({token}); }

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, std::vector<Seam>& seams) const {
  return encode_from(text, 0, &seams);
}

std::vector<std::int32_t> Tokenizer::encode_behind(std::string_view text, Seam seam) const {
  return encode_from(text, seam.bytes, nullptr);
}

std::vector<std::int32_t> Tokenizer::encode_from(std::string_view text, std::size_t from,
                                                 std::vector<Seam>* seams) const {
  Lent lent(parts_->scratches);
  TokenizerScratch& scratch = *lent;
  const std::string_view valid = valid_utf8(text, scratch.repaired);
  std::vector<std::int32_t> ids;
  const auto encode_rest = [&](std::string_view rest, std::size_t head) {
    parts_->pre_tokenizer.cut(rest, head, scratch.pieces, scratch.matches);
    for (const auto& piece : scratch.pieces.pieces) {
      parts_->model.encode(piece.text, scratch.words, ids);
    }
  };
  scratch.parts.clear();
  parts_->in_text.split(valid, scratch.parts, from);
  for (const TextPart& part : scratch.parts) {
    if (part.id) {
      ids.push_back(*part.id);
      const auto end = static_cast<std::size_t>(part.text.data() + part.text.size() - valid.data());
      if (seams != nullptr && part.seam && valid.data() == text.data()) {
        seams->push_back({.bytes = end, .ids = ids.size()});
      }
      continue;
    }
    scratch.normalized = part.text;
    std::size_t head = parts_->normalizer.apply(scratch.normalized, scratch.matches);
    if (part.text.data() != valid.data()) head = 0;
    const std::string_view normal = scratch.normalized;
    scratch.inner_parts.clear();
    parts_->in_normalized.split(normal, scratch.inner_parts);
    for (const TextPart& inner : scratch.inner_parts) {
      if (inner.id) {
        ids.push_back(*inner.id);
      } else {
        const auto begin = static_cast<std::size_t>(inner.text.data() - normal.data());
        encode_rest(inner.text, std::min(head > begin ? head - begin : 0, inner.text.size()));
      }
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    std::optional<std::string> token = token_of(id);
    if (!token || (skip_special && parts_->special.count(*token) > 0)) continue;
    tokens.push_back(std::move(*token));
  }
  Lent lent(parts_->scratches);
  return parts_->decoder.decode(std::move(tokens), (*lent).matches);
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto added = parts_->added_ids.find(std::string(token));
  if (added != parts_->added_ids.end()) return added->second;
  const std::int32_t id = parts_->model.vocabulary().find(token);
  return id == Vocabulary::kNone ? std::nullopt : std::optional(id);
}

std::optional<std::string> Tokenizer::token_of(std::int32_t id) const {
  const auto added = parts_->added.find(id);
  if (added != parts_->added.end()) return added->second.content;
  const std::string_view* known = parts_->model.vocabulary().token(id);
  return known == nullptr ? std::nullopt : std::optional<std::string>(*known);
}

std::int64_t Tokenizer::vocabulary() const {
  std::int64_t largest = parts_->model.vocabulary().largest_id();
  for (const auto& [id, token] : parts_->added) largest = std::max<std::int64_t>(largest, id);
  return largest + 1;
}

}  // namespace loadline
