#include "training/metrics.h"

#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

constexpr Bytes kMostMetrics = 1_GiB;
constexpr std::array kAllRows{EvaluationReport::Rows::kValidation, EvaluationReport::Rows::kTest};

const char* loss_name(EvaluationReport::Rows rows) {
  return rows == EvaluationReport::Rows::kTest ? "test_loss" : "valid_loss";
}

}  // namespace

std::string Metrics::lines_up_to(const std::filesystem::path& path, std::int64_t last_step) {
  const std::string content = read_file(path, kMostMetrics);
  std::string kept;
  std::string_view rest = content;
  while (true) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return kept;
    const Json line = Json::parse(rest.substr(0, end), nullptr, false);
    const Json* step = json_find(line, "step");
    const bool is_metric = step != nullptr && step->is_number_unsigned();
    if (is_metric && step->get<std::int64_t>() <= last_step) {
      kept += rest.substr(0, end + 1);
      for (const EvaluationReport::Rows rows : kAllRows) {
        if (line.contains(loss_name(rows))) evaluated_.insert({rows, step->get<std::int64_t>()});
      }
    }
    rest.remove_prefix(end + 1);
  }
}

Metrics::Metrics(const std::filesystem::path& folder, std::int64_t last_step) {
  const std::filesystem::path path = folder / "metrics.jsonl";
  const bool keeps = last_step > 0 && std::filesystem::exists(path);
  replace_file(path, keeps ? lines_up_to(path, last_step) : "");
  file_ = AppendFile(path, AppendFile::Durability::kBuffered);
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
  const Json line{{"step", report.step},
                  {loss_name(report.rows), report.valid_loss},
                  {"perplexity", std::exp(report.valid_loss)},
                  {"targets", report.targets},
                  {"seconds", report.seconds},
                  {"peak_bytes", report.peak.count}};
  file_.append_line(line.dump());
}

}  // namespace loadline
