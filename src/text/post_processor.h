// What is put around a text's ids: tokenizer.json's "post_processor".
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json_fwd.h"

namespace loadline {

// TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which changes offsets only),
// Sequence (in which one member at most adds tokens).
class PostProcessor {
 public:
  PostProcessor() = default;
  // `value` may be null: nothing is added. Throws Error(kBadInput) with the name of a type that is
  // not supported.
  PostProcessor(const Json& value, const std::string& source);
  PostProcessor(std::vector<std::int32_t> before, std::vector<std::int32_t> after)
      : before_(std::move(before)), after_(std::move(after)) {}
  void add_special(std::vector<std::int32_t>& ids) const;
  [[nodiscard]] const std::vector<std::int32_t>& before() const { return before_; }
  [[nodiscard]] const std::vector<std::int32_t>& after() const { return after_; }

 private:
  void add(const Json& value, const std::string& source);
  void add_template(const Json& value, const std::string& source);
  std::vector<std::int32_t> before_, after_;
};

}  // namespace loadline
