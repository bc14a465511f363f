// From JSONL to a packed file.
#include <algorithm>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/hash.h"
#include "text/file_format.h"
#include "text/lines.h"
#include "text/packed.h"

namespace loadline {
namespace {

constexpr std::size_t kShownBadLines = 5;

// Its number goes up whenever the same row gives other ids or marks, so that no file packed before
// is taken for what would be packed now.
std::string fingerprint_of(const std::string& content_hash, const RowReader& reader) {
  return sha256_hex(fmt::format("loadline packed 5\n{}\n{}", content_hash, reader.fingerprint()));
}

// The first token has nothing before it that could predict it.
bool has_prediction(const TokenizedRow& row) {
  return row.ids.size() >= 2 &&
         std::find(row.in_loss.begin() + 1, row.in_loss.end(), true) != row.in_loss.end();
}

// Bad lines are all counted before they are refused, so that one run shows what is to be mended.
void refuse_bad_lines(const PackReport& report) {
  if (report.bad == 0) return;
  std::string message = fmt::format("{}", fmt::join(report.first_bad, "\n"));
  if (report.bad > 1) {
    message += fmt::format("\n{} lines are bad, {} good", report.bad,
                           report.rows == 1 ? "1 is" : fmt::format("{} are", report.rows));
  }
  throw bad_input("{}\nMend {}, or leave {} out with --skip-bad-rows", message,
                  report.bad > 1 ? "them" : "it", report.bad > 1 ? "them" : "it");
}

bool most_are_bad(const PackReport& report) { return report.bad > report.rows + report.too_short; }

}  // namespace

std::string words_on_roles(const PackReport& report) {
  return fmt::format(
      "no message of {} {} has the role assistant{}: rename them to user and assistant",
      report.without_assistant, report.without_assistant == 1 ? "row" : "rows",
      report.other_roles.empty() ? "" : fmt::format("; its roles are {:.80}", report.other_roles));
}

PackReport pack_rows(const std::filesystem::path& jsonl, const RowReader& reader,
                     const std::filesystem::path& packed,
                     const std::function<void(std::int64_t rows)>& progress, BadRows bad_rows,
                     RowsPurpose purpose) {
  LineReader lines(jsonl);
  PackedWriter writer(packed, "");
  PackReport report;
  std::string other_format;  // what the file seems to be, by its first line
  for (std::string_view line; lines.next(line);) {
    try {
      const TokenizedRow row = reader.read(line);
      if (!row.other_roles.empty()) {
        if (report.without_assistant == 0) report.other_roles = row.other_roles;
        ++report.without_assistant;
      }
      if (!has_prediction(row)) {
        ++report.too_short;
        continue;
      }
      writer.add(row);
      ++report.rows;
      report.tokens += static_cast<std::int64_t>(row.ids.size());
      report.in_loss += std::count(row.in_loss.begin(), row.in_loss.end(), true);
      report.longest = std::max(report.longest, static_cast<std::int64_t>(row.ids.size()));
      report.with_provenance += row.provenance ? 1 : 0;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUsage) {
        throw usage_error("{}:{}: {}", jsonl.string(), lines.number(), error.what());
      }
      if (error.kind() != ErrorKind::kBadInput) throw;
      if (report.rows + report.too_short + report.bad == 0) {
        other_format = text_format_advice(line, jsonl.string());
      }
      if (!other_format.empty() && bad_rows == BadRows::kRefuse)
        throw bad_input("{}", other_format);
      ++report.bad;
      if (report.first_bad.size() < kShownBadLines) {
        report.first_bad.push_back(
            fmt::format("{}:{}: {}", jsonl.string(), lines.number(), error.what()));
      }
    }
    if (progress) progress(report.rows);
  }
  if (!other_format.empty() && most_are_bad(report)) throw bad_input("{}", other_format);
  if (bad_rows == BadRows::kRefuse) refuse_bad_lines(report);
  if (report.rows == 0) {
    throw bad_input("{}: there is no row {} ({}; {} without a token to predict, {} bad){}{}{}{}{}",
                    jsonl.string(), purpose.what, counted(lines.number(), "line"),
                    counted(report.too_short, "row"), report.bad,
                    report.without_assistant > 0 ? "\n" + words_on_roles(report) : "",
                    report.bad > 0 ? ":\n" : "", fmt::join(report.first_bad, "\n"),
                    purpose.way_out.empty() ? ""
                    : report.bad > 0        ? "\n"
                                            : ". ",
                    purpose.way_out);
  }
  writer.set_fingerprint(fingerprint_of(lines.content_hash(), reader));
  writer.set_left_out(report.too_short, report.bad);
  writer.set_without_assistant(report.without_assistant);
  writer.finish();
  return report;
}

std::string packing_fingerprint(const std::filesystem::path& jsonl, const RowReader& reader) {
  return fingerprint_of(ContentHash::of_file(jsonl), reader);
}

}  // namespace loadline
