// loadline pull: a model of the Hugging Face Hub, into its cache.
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "workload/model_source.h"

namespace loadline {
namespace {

struct PullOptions {
  std::string model;
  bool json = false;
};

Json pull_document(const HubModel& model, const PullReport& report) {
  Json files = Json::array();
  for (const HubFile& file : report.files) {
    files.push_back({{"name", file.name}, {"bytes", file.size}, {"etag", file.etag}});
  }
  return {{"schema_version", 1},        {"model", model.repository},
          {"revision", model.revision}, {"commit", report.commit},
          {"path", report.snapshot},    {"received_bytes", report.received},
          {"files", std::move(files)}};
}

int run_pull(const PullOptions& options) {
  const auto model = parse_hub_model(options.model);
  if (!model) {
    throw usage_error("pull {}: should be ORG/NAME or ORG/NAME@REVISION", options.model);
  }
  const PullReport report = pull_from_hub(*model, ModelParts::kAll);
  if (options.json) {
    fmt::print("{}\n", pull_document(*model, report).dump(2));
  } else {
    fmt::print("{}\n", report.snapshot.string());
  }
  return 0;
}

}  // namespace

CommandFunction add_pull(Flags flags) {
  const auto options = std::make_shared<PullOptions>();
  flags.word("model", options->model, "ORG/NAME or ORG/NAME@REVISION");
  flags.toggle("--json", options->json, "One JSON document on stdout, everything else on stderr");
  return [options] { return run_pull(*options); };
}

}  // namespace loadline
