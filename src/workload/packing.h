// Data sets, tokenized once into packed files in the cache.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "workload/workload.h"

namespace loadline {

// Fills workload.train and, where there are such rows, workload.valid and, if the options ask for
// it, workload.test.
void pack_workload(Workload& workload, const WorkloadOptions& options, const std::string& data,
                   std::FILE* out);

// SHA-256 over the lengths of all rows that train after truncation to `max_seq_length`, longest
// first: what memory depends on.
std::string lengths_fingerprint(const Workload& workload, std::int64_t max_seq_length);

}  // namespace loadline
