// The fields of one row of JSONL, typed and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/rows.h"

namespace loadline {

// The fields of a row that Loadline knows, in the order in which they decide what the row is.
struct RowFields {
  std::optional<std::vector<std::int32_t>> input_ids;  // without padding
  std::vector<bool> in_loss;                           // of input_ids
  Json prompt, completion;                             // strings, or lists of messages
  Json messages;                                       // a list of objects with a role
  Json tools;                                          // null, or a list of objects
  // {"instruction", "input", "output"}; the input may be empty.
  struct Instruction {
    std::string instruction, input, output;
  };
  std::optional<Instruction> instruction;
  std::optional<std::string> text;
  std::optional<Provenance> provenance;
};

// Throws Error(kBadInput) saying what is wrong. Ids are within [0, vocab_size). Keys that are not
// known are passed over.
RowFields parse_row(std::string_view line, std::int64_t vocab_size);

}  // namespace loadline
