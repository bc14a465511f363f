// loadline data: what the rows of a data set are, in tokens of a model.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "commands/command.h"
#include "commands/options.h"
#include "commands/workload.h"

namespace loadline {
namespace {

struct DataOptions {
  WorkloadOptions workload;
  bool dump = false;
};

void dump_rows(const PackedRows& rows) {
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const PackedRow row = rows.row(i);
    Json document{{"ids", row.ids}, {"loss_mask", row.in_loss}};
    document["auth_weight"] =
        row.has_provenance ? Json(row.provenance.authority_weight) : Json(nullptr);
    document["prov_entropy"] =
        row.has_provenance ? Json(row.provenance.provenance_entropy) : Json(nullptr);
    fmt::print("{}\n", document.dump());
  }
}

// Ten equal classes up to the longest row, a bar each.
void print_histogram(const LengthHistogram& lengths) {
  constexpr int kClasses = 10;
  constexpr std::int64_t kWidth = 40;
  const std::int64_t step = (lengths.longest() + kClasses - 1) / kClasses;
  std::int64_t counts[kClasses] = {};
  for (const std::int64_t length : lengths.descending())
    ++counts[std::min<std::int64_t>((length - 1) / step, kClasses - 1)];
  const std::int64_t most = *std::max_element(counts, counts + kClasses);
  for (int i = 0; i < kClasses; ++i) {
    const auto bar = static_cast<std::size_t>((counts[i] * kWidth + most - 1) / most);
    fmt::print("  {:>6} - {:<6} {:>8}  {}\n", i * step + 1, (i + 1) * step, counts[i],
               std::string(bar, '#'));
  }
}

std::int64_t count_in_loss(const PackedRows& rows) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const PackedRow row = rows.row(i);
    count += std::count(row.in_loss.begin(), row.in_loss.end(), std::uint8_t{1});
  }
  return count;
}

void print_split(const PackedSplit& split, std::int64_t max_seq_length) {
  const LengthHistogram lengths(split.rows, max_seq_length);
  const PackReport& report = split.report;
  fmt::print("{}\n", split.source.string());
  fmt::print("  rows                 {}\n", report.rows);
  if (report.too_short > 0)
    fmt::print("  left out             {} of fewer than 2 tokens\n", report.too_short);
  fmt::print("  tokens               {}, {} of them in the loss\n", report.tokens,
             count_in_loss(split.rows));
  fmt::print("  length               median {}, 90 % {}, 99 % {}, longest {}\n",
             lengths.percentile(0.5), lengths.percentile(0.9), lengths.percentile(0.99),
             report.longest);
  fmt::print("  cut at {:<6}        {} rows, {} tokens\n", max_seq_length, lengths.truncated_rows(),
             report.tokens - lengths.total_tokens());
  fmt::print("  with distrust fields {}\n", report.with_provenance);
  print_histogram(lengths);
}

int run_data(const DataOptions& options) {
  if (options.workload.data.empty() && !options.workload.demo)
    throw usage_error("--data FILE is missing");
  const Workload workload =
      prepare_workload(options.workload, read_machine(), stderr, ModelParts::kText);
  if (options.dump) {
    dump_rows(workload.train->rows);
  } else if (options.workload.json) {
    Json document{{"schema_version", 1}};
    document.update(workload.data_document());
    fmt::print("{}\n", document.dump(2));
  } else {
    print_split(*workload.train, workload.base.max_seq_length);
    if (workload.valid) print_split(*workload.valid, workload.base.max_seq_length);
    if (!workload.distrust_note.empty()) fmt::print("{}\n", workload.distrust_note);
  }
  return 0;
}

}  // namespace

CommandFunction add_data(Flags flags) {
  const auto options = std::make_shared<DataOptions>();
  add_model_flags(flags, options->workload);
  add_data_flags(flags, options->workload);
  flags.toggle("--demo", options->workload.demo, "The embedded model and data");
  flags.toggle("--dump", options->dump,
               "Each row as {\"ids\",\"loss_mask\",\"auth_weight\",\"prov_entropy\"} a line");
  return [options] { return run_data(*options); };
}

}  // namespace loadline
