// Data sets, tokenized once into packed files in the cache.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "commands/workload.h"

namespace loadline {

// Fills workload.train and, where there are validation rows, workload.valid.
void pack_workload(Workload& workload, const WorkloadOptions& options, const std::string& data,
                   std::FILE* out);

// Fills workload.test from `test_data`, or from test.jsonl beside the training rows where it is not
// given; leaves it empty where neither is there.
void pack_test_rows(Workload& workload, const WorkloadOptions& options,
                    const std::optional<std::string>& test_data, std::FILE* out);

// SHA-256 over the lengths of all rows after truncation, longest first: what memory depends on.
std::string lengths_fingerprint(const Workload& workload);

}  // namespace loadline
