// The Hugging Face cache, as the Python client (huggingface_hub) lays it out, so that both share
// it: docs/hub.md has the table.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hub/name.h"

namespace loadline {

// What of a model is wanted: config and tokenizer, or these and the weights.
enum class ModelParts { kText, kAll };

inline constexpr const char* kChatTemplateFile = "chat_template.jinja";
// The files of the Hub that may be asked for, besides the weights.
inline constexpr const char* kModelTextFiles[] = {"config.json",
                                                  "generation_config.json",
                                                  "tokenizer.json",
                                                  "tokenizer_config.json",
                                                  "special_tokens_map.json",
                                                  kChatTemplateFile,
                                                  "additional_chat_templates/tool_use.jinja"};

// What a snapshot lacks.
struct MissingFiles {
  std::vector<std::string> needed;  // nothing works without these: config.json, weights
  // The tokenizer's files, and with the weights generating's, that are neither there nor known not
  // to exist, and say what no other does: rows and answers may do without.
  std::vector<std::string> unknown;

  [[nodiscard]] bool none() const { return needed.empty() && unknown.empty(); }
};

class HubCache {
 public:
  explicit HubCache(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  // The revision itself where it is a commit; else what refs/ says, if it says something. Throws
  // Error(kBadInput) naming the file when that is no commit.
  [[nodiscard]] std::optional<std::string> commit_of(const HubModel& model) const;
  [[nodiscard]] std::filesystem::path snapshot(const HubModel& model,
                                               const std::string& commit) const;
  // Those of the model, whatever its own revision is, that have a snapshot: what refs/ calls them,
  // sorted, then the commits without such a name.
  [[nodiscard]] std::vector<std::string> revisions(const HubModel& model) const;
  // Throws Error(kBadInput) when the index of the weights or the tokenizer's config is damaged.
  [[nodiscard]] MissingFiles missing(const HubModel& model, const std::string& commit,
                                     ModelParts parts) const;

  // `etag` must be a plain file name.
  [[nodiscard]] std::filesystem::path blob(const HubModel& model, const std::string& etag) const;
  // Where FILE of the commit has its content: the blob, or the snapshot's own file where no blob
  // is.
  [[nodiscard]] std::filesystem::path content(const HubModel& model, const std::string& commit,
                                              const std::string& file,
                                              const std::string& etag) const;
  [[nodiscard]] std::filesystem::path lock(const HubModel& model, const std::string& etag) const;

  // The rest writes, each step atomically; Error(kEnvironment) where the disk refuses.
  // Makes FILE of the snapshot a link to the blob. A file system without links gets the blob
  // itself, or a copy where the blob `is_shared` by several files. Content that the
  // snapshot has without a blob stays.
  void link(const HubModel& model, const std::string& commit, const std::string& file,
            const std::string& etag, bool is_shared = false) const;
  void remember_absent(const HubModel& model, const std::string& commit,
                       const std::string& file) const;
  void set_ref(const HubModel& model, const std::string& commit) const;

 private:
  [[nodiscard]] std::filesystem::path folder(const HubModel& model) const;

  std::filesystem::path root_;
};

}  // namespace loadline
