#include "text/token_model.h"

#include <cstdlib>

#include "base/error.h"
#include "text/json_fields.h"

namespace loadline {
namespace {

namespace dom = simdjson::dom;

// `exact` as serde_json reads it, with which the tokenizers library reads scores: its digits as an
// integer, rounded, then times or divided by a power of ten, rounded again. Sums of such scores
// decide between ways that are equally good on paper.
double twice_rounded(double exact) {
  std::string digits = fmt::format("{}", exact);
  std::int64_t exponent = 0;
  if (const std::size_t mark = digits.find('e'); mark != std::string::npos) {
    exponent = std::stoll(digits.substr(mark + 1));
    digits.resize(mark);
  }
  if (const std::size_t point = digits.find('.'); point != std::string::npos) {
    exponent -= static_cast<std::int64_t>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  constexpr std::int64_t kLargest = 308;  // 1e308 is the largest power of ten
  double value = std::stod(digits);
  for (; exponent < -kLargest; exponent += kLargest) value /= 1e308;
  const double power = std::stod(fmt::format("1e{}", std::abs(exponent)));
  return exponent < 0 ? value / power : value * power;
}

class ModelReader {
 public:
  ModelReader(const dom::object& object, const std::string& source)
      : object_(object), source_(source) {}

  Bpe bpe(bool words_are_bytes) const {
    const auto dropout = field_or<double>(object_, "dropout", "a number", 0.0, source_);
    if (dropout != 0.0) {
      throw bad_input("{}: dropout {} would make every run different; set it to null", source_,
                      dropout);
    }
    dom::element unknown;
    const bool has_unknown =
        object_["unk_token"].get(unknown) == simdjson::SUCCESS && !unknown.is_null();
    Bpe::Options options{
        .unknown_token = text("unk_token", ""),
        .has_unknown_token = has_unknown,
        .subword_prefix = text("continuing_subword_prefix", ""),
        .word_suffix = text("end_of_word_suffix", ""),
        .fuse_unknown = flag("fuse_unk"),
        .byte_fallback = flag("byte_fallback"),
        .ignore_merges = flag("ignore_merges"),
        .words_are_bytes = words_are_bytes,
    };
    return {vocabulary(), merges(), std::move(options), source_};
  }

  // The vocabulary is a list of [token, score]; a token's place is its id.
  Unigram unigram() const {
    const auto list =
        required_field<dom::array>(object_, "vocab", "a list of [token, score]", source_);
    Vocabulary vocabulary(list.size());
    std::vector<double> scores;
    scores.reserve(list.size());
    for (const dom::element& item : list) {
      const auto id = static_cast<std::int64_t>(scores.size());
      dom::array pair;
      std::string_view token;
      double score = 0;
      const bool good = item.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
                        pair.at(0).get(token) == simdjson::SUCCESS &&
                        pair.at(1).get(score) == simdjson::SUCCESS;
      if (!good) throw bad_input("{}: entry {} of 'vocab' is not [token, score]", source_, id);
      add(vocabulary, token, id);
      scores.push_back(twice_rounded(score));
    }
    return {std::move(vocabulary),
            std::move(scores),
            {.unknown_id = unknown_id(), .byte_fallback = flag("byte_fallback")},
            source_};
  }

  WordPiece word_piece() const {
    const auto longest =
        field_or<std::uint64_t>(object_, "max_input_chars_per_word", "an integer", 100, source_);
    return {vocabulary(),
            {.unknown_token = text("unk_token", "[UNK]"),
             .continuing_prefix = text("continuing_subword_prefix", "##"),
             .longest_word = longest}};
  }

 private:
  [[nodiscard]] std::string text(const char* key, std::string_view otherwise) const {
    return std::string(field_or<std::string_view>(object_, key, "a string", otherwise, source_));
  }
  [[nodiscard]] bool flag(const char* key) const {
    return field_or<bool>(object_, key, "true or false", false, source_);
  }

  std::optional<std::int32_t> unknown_id() const {
    const auto id = field_or<std::int64_t>(object_, "unk_id", "an integer", -1, source_);
    if (id < 0) return std::nullopt;
    return checked_token_id(id, "unk_id", source_);
  }

  void add(Vocabulary& vocabulary, std::string_view token, std::int64_t id) const {
    if (!vocabulary.add(token, checked_token_id(id, token, source_))) {
      throw bad_input("{}: token '{:.80}' stands twice in the vocabulary", source_, token);
    }
  }

  Vocabulary vocabulary() const {
    const auto tokens =
        required_field<dom::object>(object_, "vocab", "an object of token: id", source_);
    Vocabulary vocabulary(tokens.size());
    for (const auto& field : tokens) {
      std::int64_t id = 0;
      if (field.value.get(id) != simdjson::SUCCESS) {
        throw bad_input("{}: the id of token '{:.80}' is not an integer", source_, field.key);
      }
      add(vocabulary, field.key, id);
    }
    return vocabulary;
  }

  std::vector<Bpe::MergePair> merges() const {
    const auto list = required_field<dom::array>(object_, "merges", "a list", source_);
    std::vector<Bpe::MergePair> merges;
    merges.reserve(list.size());
    for (const dom::element& item : list) {
      std::string_view line;
      if (item.get(line) != simdjson::SUCCESS) {
        merges.push_back(merge_of_pair(item, merges.size()));
      } else if (!line.starts_with("#version")) {
        merges.push_back(merge_of_line(line, merges.size()));
      }
    }
    return merges;
  }

  Bpe::MergePair merge_of_line(std::string_view line, std::size_t rank) const {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos) {
      throw bad_input("{}: merge {} ('{:.80}') is not two tokens with a blank between", source_,
                      rank, line);
    }
    return {line.substr(0, blank), line.substr(blank + 1)};
  }

  Bpe::MergePair merge_of_pair(const dom::element& item, std::size_t rank) const {
    dom::array pair;
    Bpe::MergePair merge;
    const bool good = item.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
                      pair.at(0).get(merge.first) == simdjson::SUCCESS &&
                      pair.at(1).get(merge.second) == simdjson::SUCCESS;
    if (!good) throw bad_input("{}: merge {} is not a pair of tokens", source_, rank);
    return merge;
  }

  const dom::object& object_;
  const std::string& source_;
};

}  // namespace

std::int32_t checked_token_id(std::int64_t id, std::string_view token, const std::string& source) {
  if (id < 0 || id >= Vocabulary::kMostIds) {
    throw bad_input("{}: token '{:.80}' has the id {}, which is not within 0 and {}", source, token,
                    id, Vocabulary::kMostIds - 1);
  }
  return static_cast<std::int32_t>(id);
}

TokenModel parse_token_model(const dom::object& model, bool words_are_bytes,
                             const std::string& source) {
  const ModelReader reader(model, source);
  const auto type = token_model_type(model, source);
  if (type == "BPE") return TokenModel(reader.bpe(words_are_bytes));
  if (type == "Unigram") return TokenModel(reader.unigram());
  if (type == "WordPiece") return TokenModel(reader.word_piece());
  throw bad_input(
      "{}: a tokenizer model of type '{}' is not supported; BPE, Unigram and WordPiece are", source,
      type);
}

std::string_view token_model_type(const dom::object& model, const std::string& source) {
  return field_or<std::string_view>(model, "type", "a string", "BPE", source);
}

}  // namespace loadline
