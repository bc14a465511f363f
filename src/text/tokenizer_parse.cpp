// tokenizer.json as typed parts. The vocabulary and the merges are read where simdjson leaves them;
// the small components as Json.
#include <simdjson.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/json_tree.h"
#include "text/tokenizer_parts.h"

namespace loadline {
namespace {

namespace dom = simdjson::dom;

class TokenizerFile {
 public:
  TokenizerFile(const dom::element& root, const std::string& source)
      : root_(root), source_(source) {}

  std::unique_ptr<Tokenizer::Parts> parts() {
    auto parts = std::make_unique<Tokenizer::Parts>();
    parts->normalizer = Normalizer(component("normalizer"), source_);
    parts->pre_tokenizer = PreTokenizer(component("pre_tokenizer"), source_);
    parts->post_processor = PostProcessor(component("post_processor"), source_);
    parts->decoder = Decoder(component("decoder"), source_);
    parts->model = model(parts->pre_tokenizer.leaves_bytes());
    add_tokens(*parts);
    check_special_ids(*parts);
    return parts;
  }

 private:
  Json component(const char* key) const {
    dom::element value;
    if (root_[key].get(value) != simdjson::SUCCESS) return nullptr;
    return to_json(value, source_);
  }

  // `fallback` where the key is missing or null.
  template <typename T>
  T option(const dom::object& object, const char* key, const char* wanted, T fallback) const {
    dom::element value;
    if (object[key].get(value) != simdjson::SUCCESS || value.is_null()) return fallback;
    T typed{};
    if (value.get(typed) != simdjson::SUCCESS) {
      throw bad_input("{}: '{}' should be {}", source_, key, wanted);
    }
    return typed;
  }

  template <typename T>
  T require(const dom::object& object, const char* key, const char* wanted) const {
    T typed{};
    if (object[key].get(typed) != simdjson::SUCCESS) {
      throw bad_input("{}: '{}' should be {}, but it is missing or something else", source_, key,
                      wanted);
    }
    return typed;
  }

  Bpe model(bool words_are_bytes) const {
    const auto object = require<dom::object>(dom::object(root_), "model", "an object");
    const auto type = option<std::string_view>(object, "type", "a string", "BPE");
    if (type != "BPE") {
      throw bad_input("{}: a tokenizer model of type '{}' is not supported; BPE is", source_, type);
    }
    if (option<double>(object, "dropout", "a number", 0.0) != 0.0) {
      throw bad_input("{}: dropout {} would make every run different; set it to null", source_,
                      option<double>(object, "dropout", "a number", 0.0));
    }
    dom::element unknown;
    const bool has_unknown =
        object["unk_token"].get(unknown) == simdjson::SUCCESS && !unknown.is_null();
    const auto text = [&](const char* key) {
      return std::string(option<std::string_view>(object, key, "a string", ""));
    };
    const auto flag = [&](const char* key) {
      return option<bool>(object, key, "true or false", false);
    };
    Bpe::Options options{
        .unknown_token = text("unk_token"),
        .has_unknown_token = has_unknown,
        .subword_prefix = text("continuing_subword_prefix"),
        .word_suffix = text("end_of_word_suffix"),
        .fuse_unknown = flag("fuse_unk"),
        .byte_fallback = flag("byte_fallback"),
        .ignore_merges = flag("ignore_merges"),
        .words_are_bytes = words_are_bytes,
    };
    return {vocabulary(object), merges(object), std::move(options), source_};
  }

  [[nodiscard]] std::int32_t checked_id(std::int64_t id, std::string_view token) const {
    if (id < 0 || id >= Vocabulary::kMostIds) {
      throw bad_input("{}: token '{:.80}' has the id {}, which is not within 0 and {}", source_,
                      token, id, Vocabulary::kMostIds - 1);
    }
    return static_cast<std::int32_t>(id);
  }

  Vocabulary vocabulary(const dom::object& object) const {
    const auto tokens = require<dom::object>(object, "vocab", "an object of token: id");
    Vocabulary vocabulary(tokens.size());
    for (const auto& field : tokens) {
      std::int64_t id = 0;
      if (field.value.get(id) != simdjson::SUCCESS) {
        throw bad_input("{}: the id of token '{:.80}' is not an integer", source_, field.key);
      }
      if (!vocabulary.add(field.key, checked_id(id, field.key))) {
        throw bad_input("{}: token '{:.80}' stands twice in the vocabulary", source_, field.key);
      }
    }
    return vocabulary;
  }

  std::vector<Bpe::MergePair> merges(const dom::object& object) const {
    const auto list = require<dom::array>(object, "merges", "a list");
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

  AddedToken added_token(const dom::element& item) const {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) {
      throw bad_input("{}: an entry of 'added_tokens' is not an object", source_);
    }
    const auto flag = [&](const char* key, bool otherwise) {
      return option<bool>(object, key, "true or false", otherwise);
    };
    AddedToken token;
    token.content = std::string(require<std::string_view>(object, "content", "a string"));
    (void)checked_id(require<std::int64_t>(object, "id", "an integer"), token.content);
    token.single_word = flag("single_word", false);
    token.lstrip = flag("lstrip", false);
    token.rstrip = flag("rstrip", false);
    token.special = flag("special", false);
    token.normalized = flag("normalized", !token.special);
    return token;
  }

  // Ids as the Rust library gives them, whatever the file says: the model's own for a token that
  // the model has, else the next free one.
  void add_tokens(Tokenizer::Parts& parts) const {
    dom::element value;
    if (root_["added_tokens"].get(value) != simdjson::SUCCESS || value.is_null()) return;
    dom::array list;
    if (value.get(list) != simdjson::SUCCESS) {
      throw bad_input("{}: 'added_tokens' should be a list", source_);
    }
    auto next = static_cast<std::int64_t>(parts.model.vocabulary().size());
    for (const dom::element& item : list) {
      AddedToken token = added_token(item);
      if (token.content.empty()) continue;
      if (token.special) parts.special.insert(token.content);
      if (parts.added_ids.count(token.content) > 0) continue;
      const std::int32_t known = parts.model.vocabulary().find(token.content);
      token.id = known != Vocabulary::kNone ? known : checked_id(next, token.content);
      next = std::max<std::int64_t>(next, token.id + std::int64_t{1});
      parts.added_ids[token.content] = token.id;
      parts.added[token.id] = std::move(token);
    }
    find_added_tokens(parts);
  }

  static void find_added_tokens(Tokenizer::Parts& parts) {
    MatchScratch scratch;
    for (const auto& [id, token] : parts.added) {
      std::string pattern = token.content;
      if (token.normalized) parts.normalizer.apply(pattern, scratch);
      (token.normalized ? parts.in_normalized : parts.in_text).add(token, pattern);
    }
  }

  void check_special_ids(const Tokenizer::Parts& parts) const {
    for (const auto* ids : {&parts.post_processor.before(), &parts.post_processor.after()}) {
      for (const std::int32_t id : *ids) {
        if (parts.added.count(id) == 0 && parts.model.vocabulary().token(id) == nullptr) {
          throw bad_input("{}: the post-processor adds the id {}, which no token has", source_, id);
        }
      }
    }
  }

  const dom::element& root_;
  const std::string& source_;
};

}  // namespace

std::unique_ptr<Tokenizer::Parts> parse_tokenizer(std::string_view document,
                                                  const std::string& source) {
  dom::parser parser;
  if (parser.allocate(std::max<std::size_t>(document.size(), 64), kMaxJsonDepth) !=
      simdjson::SUCCESS) {
    throw bad_input("{}: {} bytes are too many for a tokenizer", source, document.size());
  }
  const simdjson::padded_string padded(document);
  dom::element root;
  if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS) {
    throw bad_input("{}: not valid JSON: {}", source, simdjson::error_message(error));
  }
  if (!root.is_object()) throw bad_input("{}: should be an object", source);
  return TokenizerFile(root, source).parts();
}

}  // namespace loadline
