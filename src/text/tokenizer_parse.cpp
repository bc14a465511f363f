// tokenizer.json as typed parts. The vocabulary and the merges are read where simdjson leaves them;
// the small components as Json.
#include <simdjson.h>

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/json_fields.h"
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
    const auto model =
        required_field<dom::object>(dom::object(root_), "model", "an object", source_);
    const bool bytes_welcome = token_model_type(model, source_) == "BPE";
    parts->pre_tokenizer = PreTokenizer(component("pre_tokenizer"), source_, bytes_welcome);
    parts->post_processor = PostProcessor(component("post_processor"), source_);
    parts->decoder = Decoder(component("decoder"), source_);
    parts->model = parse_token_model(model, parts->pre_tokenizer.leaves_bytes(), source_);
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

  AddedToken added_token(const dom::element& item) const {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) {
      throw bad_input("{}: an entry of 'added_tokens' is not an object", source_);
    }
    const auto flag = [&](const char* key, bool otherwise) {
      return field_or<bool>(object, key, "true or false", otherwise, source_);
    };
    AddedToken token;
    token.content =
        std::string(required_field<std::string_view>(object, "content", "a string", source_));
    (void)checked_token_id(required_field<std::int64_t>(object, "id", "an integer", source_),
                           token.content, source_);
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
    std::vector<AddedToken> tokens;
    std::unordered_set<std::string> seen;
    auto next = static_cast<std::int64_t>(parts.model.vocabulary().size());
    for (const dom::element& item : list) {
      AddedToken token = added_token(item);
      if (token.content.empty()) continue;
      if (token.special) parts.special.insert(token.content);
      if (!seen.insert(token.content).second) continue;
      const std::int32_t known = parts.model.vocabulary().find(token.content);
      token.id =
          known != Vocabulary::kNone ? known : checked_token_id(next, token.content, source_);
      next = std::max<std::int64_t>(next, token.id + std::int64_t{1});
      tokens.push_back(std::move(token));
    }
    std::stable_partition(tokens.begin(), tokens.end(),
                          [](const AddedToken& token) { return token.special; });
    parts.add(tokens);
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
