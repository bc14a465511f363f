#include "commands/packing.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/hash.h"
#include "commands/paths.h"
#include "text/data_files.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

DataFiles find_splits(const std::string& data, const std::optional<std::string>& valid_data) {
  DataFiles files = resolve_data(data);
  const fs::path beside = files.train.parent_path() / "valid.jsonl";
  if (valid_data) {
    files.valid = *valid_data;
  } else if (files.train.filename() == "train.jsonl" && fs::exists(beside)) {
    files.valid = beside;
  }
  return files;
}

PackReport report_of(const PackedRows& rows) {
  PackReport report;
  report.rows = rows.size();
  report.tokens = rows.tokens();
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    report.longest = std::max(report.longest, rows.length(i));
    report.with_provenance += rows.row(i).has_provenance ? 1 : 0;
  }
  return report;
}

// The name in the cache says everything that the ids depend on.
PackedSplit pack_split(const fs::path& source, const RowReader& reader, std::FILE* out) {
  const fs::path packed =
      cache_folder() / "packed" / (packing_fingerprint(source, reader).substr(0, 32) + ".packed");
  if (!fs::exists(packed)) {
    make_folder(packed.parent_path());
    fmt::print(out, "Tokenizing {}\n", source.string());
    pack_rows(source, reader, packed, {});
  }
  PackedRows rows(packed);
  const PackReport report = report_of(rows);
  return {source, packed, report, std::move(rows)};
}

}  // namespace

void pack_workload(Workload& workload, const WorkloadOptions& options, const std::string& data,
                   std::FILE* out) {
  const DataFiles files = find_splits(data, options.valid_data);
  const RowReader reader(workload.model_folder, workload.model.vocab_size,
                         {.mask_prompt = options.mask_prompt});
  workload.train = pack_split(files.train, reader, out);
  if (files.valid) workload.valid = pack_split(*files.valid, reader, out);
}

std::string lengths_fingerprint(const Workload& workload) {
  std::string lengths;
  const auto append = [&](const std::optional<PackedSplit>& split) {
    if (!split) return;
    const LengthHistogram histogram(split->rows, workload.base.max_seq_length);
    const auto bytes = std::as_bytes(histogram.descending());
    lengths.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    lengths += '|';
  };
  append(workload.train);
  append(workload.valid);
  return sha256_hex(lengths);
}

}  // namespace loadline
