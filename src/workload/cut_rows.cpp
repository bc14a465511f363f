#include "workload/cut_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "report/text.h"

namespace loadline {

PackedRows rows_as_they_are(const PackedSplit& split) {
  return split.rows.cut_away() > 0 ? PackedRows(split.packed) : split.rows;
}

CutRows cut_rows(const PackedSplit& split, std::int64_t max_seq_length) {
  const PackedRows all = rows_as_they_are(split);
  CutRows cut{.rows = all.size(), .longer = 0, .tokens = all.tokens(), .lost = all.tokens()};
  for (const auto& [length, rows] : all.lengths()) {
    cut.longer += length > max_seq_length ? rows : 0;
  }
  const PackedRows kept = split.rows.within(max_seq_length);
  for (const auto& [length, rows] : kept.lengths()) {
    cut.lost -= rows * std::min(length, max_seq_length);
  }
  return cut;
}

std::string share_text(std::int64_t part, std::int64_t whole) {
  const double percent =
      whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
  if (part > 0 && percent < 0.1) return "less than 0.1 %";
  return fmt::format("{:.1f} %", percent);
}

std::string cut_warning(const PackedSplit& split, std::int64_t max_seq_length) {
  const CutRows cut = cut_rows(split, max_seq_length);
  if (cut.longer == 0) return "";
  return fmt::format(
      "Warning: {}: {} of {} rows are longer than {} tokens; cutting them loses {} of all tokens. "
      "`loadline data` shows the lengths, and a larger --max-seq-length keeps more.",
      printable(split.source.string()), cut.longer, cut.rows, max_seq_length,
      share_text(cut.lost, cut.tokens));
}

std::vector<std::string> cut_warnings(const Workload& workload, std::int64_t max_seq_length) {
  std::vector<std::string> warnings;
  for (const auto* split : {&workload.train, &workload.valid, &workload.test}) {
    if (!*split) continue;
    std::string warning = cut_warning(**split, max_seq_length);
    // One file may be two splits.
    const bool is_said = std::find(warnings.begin(), warnings.end(), warning) != warnings.end();
    if (!warning.empty() && !is_said) warnings.push_back(std::move(warning));
  }
  return warnings;
}

}  // namespace loadline
