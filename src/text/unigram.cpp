#include "text/unigram.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/unicode.h"

namespace loadline {
namespace {

// An unknown character is worth this much less than the worst token.
constexpr double kUnknownPenalty = 10.0;

std::vector<PrefixTree::Key> keys_of(const Vocabulary& vocabulary) {
  std::vector<PrefixTree::Key> keys;
  for (const Vocabulary::Token& token : vocabulary.tokens()) keys.push_back({token.text, token.id});
  return keys;
}

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores, Options options,
                 const std::string& source)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      options_(options),
      tokens_(keys_of(vocabulary_)) {
  if (options_.unknown_id && vocabulary_.token(*options_.unknown_id) == nullptr) {
    throw bad_input("{}: unk_id is {}, but the vocabulary has {} tokens", source,
                    *options_.unknown_id, vocabulary_.size());
  }
  const auto least = std::min_element(scores_.begin(), scores_.end());
  unknown_score_ = least == scores_.end() ? 0 : *least - kUnknownPenalty;
  for (int byte = 0; byte < 256 && options_.byte_fallback; ++byte) {
    byte_ids_.push_back(vocabulary_.find(fmt::format("<0x{:02X}>", byte)));
  }
}

// One word on its way through the model. Where no token reaches across a place, all ways lead
// through it: what lies before is decided, put out and forgotten. Scores are never set back, so
// that sums are rounded as over the whole word.
class Unigram::Encoding {
 public:
  Encoding(const Unigram& model, std::string_view word, Scratch& scratch)
      : model_(model),
        word_(word),
        arrivals_(scratch.arrivals),
        path_(scratch.path),
        ids_(scratch.ids) {}

  void run() {
    ids_.clear();
    arrivals_.assign(1, {});
    for (std::size_t at = 0; at < word_.size();) {
      if (at > decided_ && at - decided_ + 1 == arrivals_.size()) decide(at);
      at += leave(at);
    }
    decide(word_.size());
    put_unknown(word_.size());
  }

 private:
  // Takes all tokens that begin at `at`; returns the bytes of the character there.
  std::size_t leave(std::size_t at) {
    const std::string_view rest = word_.substr(at);
    const std::size_t character = first_code_point(rest).bytes;
    const double score = arrivals_[at - decided_].score;
    bool has_character = false;
    model_.tokens_.each_prefix(rest, [&](std::size_t bytes, std::int32_t id) {
      arrive(at, bytes, score + model_.scores_[static_cast<std::size_t>(id)], id);
      has_character = has_character || bytes == character;
    });
    if (!has_character) {
      arrive(at, character, score + model_.unknown_score_,
             model_.options_.unknown_id.value_or(Vocabulary::kNone));
    }
    return character;
  }

  // Of equal scores the first to arrive stays: the longest token.
  void arrive(std::size_t from, std::size_t bytes, double score, std::int32_t id) {
    const std::size_t place = from + bytes - decided_;
    if (place >= arrivals_.size()) arrivals_.resize(place + 1);
    Arrival& best = arrivals_[place];
    if (best.bytes != 0 && !(score > best.score)) return;
    if (id == Vocabulary::kNone) {
      throw bad_input(
          "the text has '{}', which the tokenizer does not know, and it has no unknown token "
          "(unk_id)",
          word_.substr(from, bytes));
    }
    best = {score, static_cast<std::uint32_t>(bytes), id};
  }

  // Puts out the best way from where it was decided last to `end`.
  void decide(std::size_t end) {
    path_.clear();
    for (std::size_t at = end; at > decided_; at -= path_.back().bytes) {
      path_.push_back(arrivals_[at - decided_]);
    }
    std::size_t at = decided_;
    for (auto step = path_.rbegin(); step != path_.rend(); ++step) {
      if (step->id != model_.options_.unknown_id) {
        put_unknown(at);
        ids_.push_back(step->id);
        known_ = at + step->bytes;
      }
      at += step->bytes;
    }
    arrivals_.assign(1, {arrivals_[end - decided_].score, 0, 0});
    decided_ = end;
  }

  // What is unknown since the last known token, as one.
  void put_unknown(std::size_t end) {
    const std::string_view unknown = word_.substr(known_, end - known_);
    known_ = end;
    if (unknown.empty()) return;
    const std::int32_t id = model_.vocabulary_.find(unknown);
    if (id != Vocabulary::kNone) return ids_.push_back(id);
    const auto& bytes = model_.byte_ids_;
    const auto id_of = [&](char byte) { return bytes[static_cast<unsigned char>(byte)]; };
    if (!bytes.empty() && std::all_of(unknown.begin(), unknown.end(), [&](char byte) {
          return id_of(byte) != Vocabulary::kNone;
        })) {
      for (const char byte : unknown) ids_.push_back(id_of(byte));
    } else {
      ids_.push_back(*model_.options_.unknown_id);
    }
  }

  const Unigram& model_;
  std::string_view word_;
  std::vector<Arrival>& arrivals_;  // at decided_ and behind it
  std::vector<Arrival>& path_;
  std::vector<std::int32_t>& ids_;
  std::size_t decided_ = 0;  // what lies before is put out
  std::size_t known_ = 0;    // where the last known token ends that was put out
};

void Unigram::encode(std::string_view word, Scratch& scratch,
                     std::vector<std::int32_t>& ids) const {
  encode_cached(word, scratch.cache, scratch.ids, ids,
                [&] { Encoding(*this, word, scratch).run(); });
}

}  // namespace loadline
