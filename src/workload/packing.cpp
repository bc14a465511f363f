#include "workload/packing.h"

#include <chrono>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/hash.h"
#include "machine/interrupt.h"
#include "report/print.h"
#include "report/text.h"
#include "text/data_files.h"
#include "workload/cache.h"
#include "workload/cut_rows.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPacked = ".packed";

DataFiles find_splits(const std::string& data, const std::optional<std::string>& valid_data) {
  DataFiles files = resolve_data(data);
  if (valid_data) files.valid = *valid_data;
  return files;
}

void tell_bad_lines(const PackReport& report, const fs::path& source, std::FILE* out) {
  if (report.bad == 0) return;
  const std::int64_t lines = report.rows + report.too_short + report.bad;
  if (report.bad > lines / 2) {
    tell(out, "Warning: {} of the {} lines of {} are bad. Are these the right rows?\n", report.bad,
         lines, source.string());
  }
  tell(out, "{}: {} left out{}\n", source.string(),
       counted(report.bad, "bad line") + (report.bad == 1 ? " is" : " are"),
       report.first_bad.empty() ? "" : ":");
  for (const std::string& line : report.first_bad) tell(out, "  {}\n", printable(line));
}

// A template writes whatever role it gets, so that nothing else would tell.
void tell_other_roles(const PackReport& report, const fs::path& source, std::FILE* out) {
  if (report.without_assistant == 0) return;
  tell(out, "Warning: {}: {}\n", source.string(), printable(words_on_roles(report)));
}

PackReport tokenize(const fs::path& source, const RowReader& reader, const fs::path& packed,
                    BadRows bad_rows, RowsPurpose purpose, std::FILE* out) {
  const Interruptible scope;
  tell(out, "Tokenizing {}\n", source.string());
  std::fflush(out);  // it may take minutes
  const auto go_on = [&](std::int64_t rows) {
    if (!interrupted()) return;
    throw Error(ErrorKind::kInterrupted,
                fmt::format("{}: interrupted after {}. The same command tokenizes it anew",
                            source.string(), counted(rows, "row")));
  };
  return pack_rows(source, reader, packed, go_on, bad_rows, purpose);
}

// Nothing where no whole file of this fingerprint is: it is made from the data, then.
std::optional<PackedRows> open_if_whole(const fs::path& packed, const std::string& fingerprint) {
  if (!is_there(packed)) return std::nullopt;
  try {
    PackedRows rows(packed);
    if (rows.fingerprint() == fingerprint) return rows;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput) throw;
  }
  return std::nullopt;
}

// The name in the cache says everything that the ids depend on. A file from which bad lines were
// left out counts only for those who want that; the others are told of the lines.
PackedSplit pack_split(const fs::path& source, const RowReader& reader, BadRows bad_rows,
                       std::FILE* out, RowsPurpose purpose = {}) {
  const std::string fingerprint = packing_fingerprint(source, reader);
  const std::string name = fingerprint.substr(0, 32) + kPacked;
  fs::path packed = cache_folder() / "packed" / name;
  if (std::optional<PackedRows> rows = open_if_whole(packed, fingerprint)) {
    PackReport report = report_of(*rows);
    if (report.bad == 0 || bad_rows == BadRows::kSkip) {
      note_use(packed);
      tell_bad_lines(report, source, out);
      tell_other_roles(report, source, out);
      return {source, packed, std::move(report), std::move(*rows)};
    }
  }
  packed = writable_cache("packed") / name;
  // Of a tokenizing that was killed. One that lives has written today.
  remove_unfinished(packed.parent_path(), std::chrono::hours(24));
  // A template that asks for the date makes another file each day.
  remove_unused(packed.parent_path(), kPacked);
  PackReport report = tokenize(source, reader, packed, bad_rows, purpose, out);
  tell_bad_lines(report, source, out);
  tell_other_roles(report, source, out);
  return {source, packed, std::move(report), PackedRows(packed)};
}

}  // namespace

void pack_workload(Workload& workload, const WorkloadOptions& options, const std::string& data,
                   std::FILE* out) {
  const DataFiles files = find_splits(data, options.valid_data);
  const auto date =
      options.template_date ? parse_date(*options.template_date, "--template-date") : today();
  const RowReader reader(workload.model_folder, workload.model.vocab_size,
                         {.mask_prompt = options.mask_prompt, .date = date});
  if (options.template_date && !reader.asks_for_date()) {
    throw usage_error(
        "--template-date {}: has no effect, as the model's chat template does not ask for the "
        "date. "
        "Leave it out",
        *options.template_date);
  }
  if (reader.asks_for_date()) {
    workload.template_date = fmt::format("{:04}-{:02}-{:02}", int{date.year()},
                                         unsigned{date.month()}, unsigned{date.day()});
  }
  const BadRows bad_rows = options.skip_bad_rows ? BadRows::kSkip : BadRows::kRefuse;
  workload.train = pack_split(files.train, reader, bad_rows, out);
  const auto pack_other = [&](const fs::path& source, const char* what, bool named) {
    const std::string_view way_out =
        named ? "Name a file with rows, or leave the flag out"
              : "It is used as it lies beside the data: put rows into it, or move it away";
    return pack_split(source, reader, bad_rows, out, {what, way_out});
  };
  if (files.valid) {
    workload.valid = pack_other(*files.valid, "to validate on", options.valid_data.has_value());
  }
  if (!options.with_test) return;
  const std::optional<fs::path> test =
      options.test_data ? std::optional<fs::path>(*options.test_data) : files.test;
  if (test) workload.test = pack_other(*test, "to test on", options.test_data.has_value());
}

std::string lengths_fingerprint(const Workload& workload, std::int64_t max_seq_length) {
  std::string lengths;
  const auto append = [&](const std::optional<PackedSplit>& split) {
    if (!split) return;
    const LengthHistogram histogram(rows_as_they_are(*split).within(max_seq_length),
                                    max_seq_length);
    const auto bytes = std::as_bytes(histogram.descending());
    lengths.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    lengths += '|';
  };
  append(workload.train);
  append(workload.valid);
  return sha256_hex(lengths);
}

}  // namespace loadline
