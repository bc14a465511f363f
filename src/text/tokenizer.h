// tokenizer.json of the Hugging Face `tokenizers` library: BPE, byte-level with a pre-tokenizer
// pattern (GPT-2, Llama 3, Qwen) or SentencePiece style with byte fallback (Llama 2, Mistral);
// Unigram (SentencePiece's other kind); WordPiece (BERT's).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loadline {

struct AddedToken;  // added_tokens.h

class Tokenizer {
 public:
  struct Parts;  // tokenizer_parts.h

  // Throws Error(kBadInput) naming the file and the component when something in it is not supported
  // or malformed: never a silent skip.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);
  static Tokenizer parse(std::string_view document, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Ids of `text` (UTF-8; invalid bytes are replaced as Rust's lossy conversion does). With
  // `add_special` the post-processor's template (bos, eos) is applied. Added tokens are found in
  // the text either way. Thread-safe.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, bool add_special) const;
  // A place behind an added token, where encoding can begin: so many bytes and ids stand before it,
  // in every text that is the same up to there.
  struct Seam {
    std::size_t bytes = 0;
    std::size_t ids = 0;
  };
  // encode(text, false), and the seams of `text` in their order: none where it is not valid UTF-8.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text,
                                                 std::vector<Seam>& seams) const;
  // What encode(text, false) gives behind a seam of `text`, or of a longer text that begins as it.
  [[nodiscard]] std::vector<std::int32_t> encode_behind(std::string_view text, Seam seam) const;
  // Has `token` found in text, as those of tokenizer.json's list are; one that is in it is left as
  // it is there. No other token may have its id.
  void add(const AddedToken& token);
  // What stands around a text with special tokens, in place of what the post-processor adds.
  void set_special(std::vector<std::int32_t> before, std::vector<std::int32_t> after);
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;
  [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
  [[nodiscard]] std::optional<std::string> token_of(std::int32_t id) const;
  // The largest id + 1, added tokens included.
  [[nodiscard]] std::int64_t vocabulary() const;

 private:
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  [[nodiscard]] std::vector<std::int32_t> encode_from(std::string_view text, std::size_t from,
                                                      std::vector<Seam>* seams) const;
  std::unique_ptr<Parts> parts_;
};

}  // namespace loadline
