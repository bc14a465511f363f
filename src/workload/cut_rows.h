// What --max-seq-length costs: the tokens behind it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workload/workload.h"

namespace loadline {

// Of a split's rows as they are, those that are left out for the cut among them.
struct CutRows {
  std::int64_t rows = 0, longer = 0;  // than the cut
  std::int64_t tokens = 0, lost = 0;
};
CutRows cut_rows(const PackedSplit& split, std::int64_t max_seq_length);

// All rows of a split, before any cut.
PackedRows rows_as_they_are(const PackedSplit& split);

// "Warning: train.jsonl: 12 of 500 rows are longer than 64 tokens ..."; empty where nothing is cut.
std::string cut_warning(const PackedSplit& split, std::int64_t max_seq_length);
// Those of the training, validation and test rows.
std::vector<std::string> cut_warnings(const Workload& workload, std::int64_t max_seq_length);

// "3.4 %", "less than 0.1 %".
std::string share_text(std::int64_t part, std::int64_t whole);

}  // namespace loadline
