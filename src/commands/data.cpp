// loadline data: what the rows of a data set are, in tokens of a model.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "workload/cut_rows.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {
namespace {

struct DataOptions {
  WorkloadOptions workload;
  bool dump = false;
};

void dump_rows(const PackedRows& rows) {
  constexpr std::int64_t kTokensAtOnce = 1 << 20;
  std::int64_t shown = 0;
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const PackedRow row = rows.row(i);
    shown += std::ssize(row.ids);
    Json document{{"ids", row.ids}, {"loss_mask", row.in_loss}};
    document["auth_weight"] =
        row.has_provenance ? Json(row.provenance.authority_weight) : Json(nullptr);
    document["prov_entropy"] =
        row.has_provenance ? Json(row.provenance.provenance_entropy) : Json(nullptr);
    fmt::print("{}\n", document.dump());
    if (shown < kTokensAtOnce) continue;
    rows.forget_pages();  // else the process would come to hold the whole file
    shown = 0;
  }
}

// A bar for each class of lengths.
void print_histogram(const LengthHistogram& lengths) {
  constexpr std::int64_t kWidth = 40;
  const std::vector<LengthClass> classes = length_classes(lengths);
  std::int64_t most = 1;
  for (const LengthClass& c : classes) most = std::max(most, c.rows);
  for (const LengthClass& c : classes) {
    const auto bar = static_cast<std::size_t>((c.rows * kWidth + most - 1) / most);
    fmt::print("  {:>6} - {:<6} {:>8}  {}\n", c.from, c.to, c.rows, std::string(bar, '#'));
  }
}

// Lengths are of the rows as they are: whoever looks for a --max-seq-length wants to see them.
void print_split(const PackedSplit& split, std::int64_t max_seq_length) {
  const PackReport& report = split.report;
  fmt::print("{}\n", split.source.string());
  fmt::print("  rows                 {}\n", report.rows);
  if (report.too_short > 0)
    fmt::print("  left out             {} without a token to predict\n", report.too_short);
  if (report.cut_away > 0)
    fmt::print("  left out             {} without one within {} tokens\n", report.cut_away,
               max_seq_length);
  if (report.bad > 0) fmt::print("  bad lines            {}, left out\n", report.bad);
  const std::int64_t in_loss = split.rows.in_loss_within(max_seq_length);
  fmt::print("  tokens               {}, {} of them ({}) in the loss\n", report.tokens, in_loss,
             share_text(in_loss, report.tokens));
  const LengthHistogram lengths(rows_as_they_are(split));
  fmt::print("  length before a cut  median {}, 90 % {}, 99 % {}, longest {}\n",
             lengths.percentile(0.5), lengths.percentile(0.9), lengths.percentile(0.99),
             lengths.longest());
  const CutRows cut = cut_rows(split, max_seq_length);
  fmt::print("  cut at {:<6}        {} longer ({}), {} lost ({})\n", max_seq_length,
             counted(cut.longer, "row") + (cut.longer == 1 ? " is" : " are"),
             share_text(cut.longer, cut.rows),
             counted(cut.lost, "token") + (cut.lost == 1 ? " is" : " are"),
             share_text(cut.lost, cut.tokens));
  fmt::print("  with distrust fields {} ({})\n", report.with_provenance,
             share_text(report.with_provenance, report.rows));
  print_histogram(lengths);
}

int run_data(const DataOptions& options) {
  require_model_and_data(options.workload);
  if (options.dump && options.workload.json) {
    throw usage_error(
        "--dump gives the rows, each as a JSON object a line, and --json a document about them: "
        "give one");
  }
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
    if (workload.test) print_split(*workload.test, workload.base.max_seq_length);
    if (!workload.distrust_note.empty()) fmt::print("{}\n", workload.distrust_note);
  }
  return 0;
}

}  // namespace

CommandFunction add_data(Flags flags) {
  const auto options = std::make_shared<DataOptions>();
  options->workload.with_test = true;
  add_model_flags(flags, options->workload);
  add_data_flags(flags, options->workload);
  add_demo_flag(flags, options->workload, "The embedded model and data");
  flags.toggle("--dump", options->dump,
               "Each row as {\"ids\",\"loss_mask\",\"auth_weight\",\"prov_entropy\"} a line");
  return [options] { return run_data(*options); };
}

}  // namespace loadline
