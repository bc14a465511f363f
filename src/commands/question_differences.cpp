#include "commands/question_differences.h"

#include <fmt/format.h>

#include <set>

#include "base/json.h"
#include "report/text.h"

namespace loadline {
namespace {

const Json& part(const Json& document, const std::string& key) {
  static const Json nothing;
  const Json* found = document.is_object() ? json_find(document, key) : nullptr;
  return found == nullptr ? nothing : *found;
}

// What model or data are called; "none" where there are none.
std::string called(const Json& document) {
  for (const char* key : {"name", "path"}) {
    if (const Json& text = part(document, key); text.is_string()) return text.get<std::string>();
  }
  return "none";
}

// Both are lists of what is compared; of one alone nothing is.
bool is_not_compared(const std::string& key, const Json& value) {
  return (key == "checkpointing" && value == Json::array({-1})) ||
         (key == "sequences" && value == Json::array({0}));
}

std::string shown(const std::string& key, const Json& value) {
  if (value.is_null() || is_not_compared(key, value)) return "none";
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  if (value.is_string()) return value.get<std::string>();
  if (key == "checkpointing" && value.is_number()) return value == 0 ? "off" : "on";
  if (!value.is_array()) return value.dump();
  std::vector<std::string> all;
  for (const Json& one : value) all.push_back(shown(key, one));
  return fmt::format("{}", fmt::join(all, ","));
}

class Comparison {
 public:
  Comparison(const Json& there, const Json& now)
      : there_(part(there, "question")),
        now_(part(now, "question")),
        model_{part(there, "model"), part(now, "model")},
        data_{part(there, "data"), part(now, "data")} {}

  std::vector<std::string> differences() {
    model();
    rows("data", "rows", data_);
    rows("valid_data", "valid_rows", {part(data_.there, "valid"), part(data_.now, "valid")});
    parts(part(there_, "settings"), part(now_, "settings"), {});
    parts(there_, now_, {"model", "data", "rows", "valid_rows", "settings"});
    // The lengths of rows hang on all that was told.
    if (lines_.empty()) parts(there_, now_, {});
    return lines_;
  }

 private:
  struct Pair {
    const Json &there, &now;
  };

  void tell(const std::string& what, const std::string& there, const std::string& now) {
    lines_.push_back(printable(fmt::format("{}: there {}, now {}", what, there, now)));
  }

  [[nodiscard]] bool differ(const std::string& key) const {
    return part(there_, key) != part(now_, key);
  }

  void model() {
    if (!differ("model")) return;
    const std::string there = called(model_.there), now = called(model_.now);
    if (there != now) return tell("model", there, now);
    const auto print = [](const Json& question) {
      constexpr std::size_t kTold = 18;  // "shape " and 12 digits
      return shown("model", part(question, "model")).substr(0, kTold);
    };
    tell(fmt::format("model: {} has another shape, or other weights", now), print(there_),
         print(now_));
  }

  // Rows are token ids: another tokenizer, another length, a mask make others of the same file.
  void rows(const std::string& what, const std::string& key, const Pair& documents) {
    if (!differ(key)) return;
    const std::string there = called(documents.there), now = called(documents.now);
    if (there != now) return tell(what, there, now);
    const auto counts = [](const Json& document) {
      const auto count = [&](const char* what_of) {
        return shown(what_of, part(document, what_of));
      };
      return fmt::format("{} rows, {} tokens, {} in the loss", count("rows"), count("tokens"),
                         count("tokens_in_loss"));
    };
    const std::string counts_there = counts(documents.there), counts_now = counts(documents.now);
    if (counts_there != counts_now) return tell(what + ": " + now, counts_there, counts_now);
    lines_.push_back(printable(
        fmt::format("{}: {} has as many rows and tokens as it had, but not the same", what, now)));
  }

  void parts(const Json& there, const Json& now, const std::set<std::string>& told) {
    std::set<std::string> keys;
    for (const Json& document : {there, now}) {
      if (!document.is_object()) continue;
      for (const auto& member : document.items()) keys.insert(member.key());
    }
    for (const std::string& key : keys) {
      const Json &then = part(there, key), &today = part(now, key);
      if (then != today && !told.contains(key)) tell(key, shown(key, then), shown(key, today));
    }
  }

  const Json &there_, &now_;
  Pair model_, data_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> question_differences(const Json& there, const Json& now) {
  return Comparison(there, now).differences();
}

}  // namespace loadline
