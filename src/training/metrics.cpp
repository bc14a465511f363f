#include "training/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_source.h"

namespace loadline {
namespace {

constexpr std::size_t kPiece = 256 << 10;
constexpr std::size_t kLongestLine = 16 << 10;  // far above any of ours
constexpr std::array kAllRows{EvaluationReport::Rows::kValidation, EvaluationReport::Rows::kTest};

const char* loss_name(EvaluationReport::Rows rows) {
  return rows == EvaluationReport::Rows::kTest ? "test_loss" : "valid_loss";
}

// A line of an older program does not say of which rows it is.
bool is_of(const Json& line, const std::string& name) {
  const Json* rows = json_find(line, "rows");
  return rows == nullptr || name.empty() || *rows == Json(name);
}

// Each line of the file with its end, in bounded memory: the plan is all that a run may need. What
// has no end is torn, and what is longer than kLongestLine is not ours.
template <typename Line>
void for_each_line(const std::filesystem::path& path, Line on_line) {
  const std::uint64_t size = regular_size(path);
  std::string piece;
  std::string line;
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kPiece, size - offset));
    read_at(path, offset, std::as_writable_bytes(std::span(piece)));
    for (std::string_view rest = piece; !rest.empty();) {
      const std::size_t newline = rest.find('\n');
      const std::string_view part = rest.substr(0, newline == rest.npos ? newline : newline + 1);
      if (line.size() <= kLongestLine) line += part.substr(0, kLongestLine + 1);
      if (newline != rest.npos) {
        if (line.size() <= kLongestLine) on_line(line);
        line.clear();
      }
      rest.remove_prefix(part.size());
    }
  }
}

}  // namespace

void Metrics::keep_lines_up_to(std::int64_t last_step, const std::filesystem::path& path,
                               ReplacementFile& into) {
  std::string kept;
  for_each_line(path, [&](const std::string& text) {
    const Json line = Json::parse(text, nullptr, false);
    const Json* step = json_find(line, "step");
    if (step == nullptr || !step->is_number_unsigned()) return;
    const auto update = step->get<std::int64_t>();
    if (update > last_step) {  // the best adapter may be of then
      if (json_find(line, "best") != nullptr) kept_best_.reset();
      return;
    }
    kept += text;
    if (kept.size() >= kPiece) into.write(std::exchange(kept, ""));
    for (const EvaluationReport::Rows rows : kAllRows) {
      const Json* loss = json_find(line, loss_name(rows));
      if (loss == nullptr || !is_of(line, name_of(rows))) continue;
      evaluated_.insert({rows, update});
      if (rows == EvaluationReport::Rows::kTest || !loss->is_number()) continue;
      const auto value = loss->get<double>();
      if (update == 0) untrained_loss_ = value;
      const Json* best = json_find(line, "best");
      if (best == nullptr || *best != Json(true)) continue;
      kept_best_ = {.step = update, .valid_loss = value, .untrained_loss = untrained_loss_};
    }
  });
  into.write(kept);
}

const std::string& Metrics::name_of(EvaluationReport::Rows rows) const {
  return rows == EvaluationReport::Rows::kTest ? names_.test : names_.validation;
}

Metrics::Metrics(const std::filesystem::path& folder, std::int64_t last_step, EvaluatedRows names)
    : names_(std::move(names)) {
  const std::filesystem::path path = folder / "metrics.jsonl";
  ReplacementFile anew(path);
  if (last_step > 0 && std::filesystem::exists(path)) keep_lines_up_to(last_step, path, anew);
  anew.commit();
  file_ = AppendFile(path, AppendFile::Durability::kBuffered);
}

std::int64_t Metrics::evaluations_after(std::int64_t step) const {
  return std::count_if(evaluated_.begin(), evaluated_.end(), [&](const auto& evaluated) {
    return evaluated.first == EvaluationReport::Rows::kValidation && evaluated.second > step;
  });
}

void Metrics::add(const StepReport& report) {
  const double rate = report.seconds > 0 ? static_cast<double>(report.tokens) / report.seconds : 0;
  const Json line{{"step", report.step},
                  {"loss", report.loss},
                  {"cross_entropy", report.cross_entropy},
                  {"distrust", report.distrust},
                  {"learning_rate", report.learning_rate},
                  {"grad_norm", report.grad_norm},
                  {"tokens", report.tokens},
                  {"tokens_per_second", rate},
                  {"seconds", report.seconds},
                  {"peak_bytes", report.peak.count}};
  file_.append_line(line.dump());
}

void Metrics::add(const EvaluationReport& report) {
  if (report.targets == 0) return;
  if (report.rows == EvaluationReport::Rows::kValidation && report.step == 0) {
    untrained_loss_ = report.valid_loss;
  }
  Json line{{"step", report.step},
            {loss_name(report.rows), report.valid_loss},
            {"perplexity", std::exp(report.valid_loss)},
            {"targets", report.targets},
            {"seconds", report.seconds},
            {"peak_bytes", report.peak.count}};
  if (!name_of(report.rows).empty()) line["rows"] = name_of(report.rows);
  if (report.is_best) line["best"] = true;
  file_.append_line(line.dump());
}

}  // namespace loadline
