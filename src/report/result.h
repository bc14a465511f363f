// result.json: the document of a finished or interrupted search. docs/result.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "machine/facts.h"
#include "search/search.h"

namespace loadline {

struct ResultContext {
  MachineFacts machine;
  Json model;  // path, type, layers, fingerprint, for people and programs
  Json data;   // path, rows, lengths
  SearchLimits limits;
  std::int64_t steps = 0;          // that each trial was asked to run
  bool generated_weights = false;  // of the model's shapes; only bytes and speed were measured
  // Of all trials; nothing where the search compares both.
  std::optional<bool> grad_checkpoint = {};
  Json binds = Json::array();  // what the optimal one's memory goes to: what, bytes, share
  std::string run_folder;
  std::string profile;  // its path, or "" when none was saved
  Json versions;        // of the libraries, as an object; loadline's own is added
};

// The document without `profile` may be written when the search ends, and again with it.
Json result_document(const SearchResult& result, const ResultContext& context);

}  // namespace loadline
