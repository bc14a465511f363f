#include "commands/model_source.h"

#include "base/error.h"
#include "commands/hub_environment.h"

namespace loadline {
namespace fs = std::filesystem;

namespace {

fs::path checked_folder(const std::string& model) {
  if (!fs::exists(fs::path(model) / "config.json") &&
      !fs::exists(fs::path(model) / "tokenizer.json")) {
    throw bad_input(
        "{}: has neither config.json nor tokenizer.json, so it is not a Hugging Face model folder",
        model);
  }
  return fs::absolute(model).lexically_normal();
}

fs::path find_in_cache(const HubModel& model, ModelParts parts) {
  const HubCache cache(read_hub_environment().cache);
  const auto commit = cache.commit_of(model);
  if (!commit) {
    throw bad_input(
        "{}: there is no such folder, and the Hub's cache {} does not have this model. Download it "
        "with `huggingface-cli download {}`.",
        model.text(), cache.root().string(), model.text());
  }
  const MissingFiles missing = cache.missing(model, *commit, parts);
  if (!missing.needed.empty()) {
    throw bad_input("{}: {} lacks {}. Download it with `huggingface-cli download {}`.",
                    model.text(), cache.snapshot(model, *commit).string(),
                    fmt::join(missing.needed, ", "), model.text());
  }
  return cache.snapshot(model, *commit);
}

}  // namespace

fs::path resolve_model(const std::string& model, ModelParts parts) {
  if (fs::is_directory(model)) return checked_folder(model);
  if (fs::exists(model))
    throw bad_input("{}: --model should name the model's folder, not a file in it", model);
  if (const auto named = parse_hub_model(model)) return find_in_cache(*named, parts);
  throw bad_input(
      "{}: there is no such folder, and a model of the Hugging Face Hub is named ORG/NAME or "
      "ORG/NAME@REVISION",
      model);
}

fs::path tokenizer_file(const fs::path& model_folder) {
  fs::path file = model_folder / "tokenizer.json";
  if (!fs::exists(file)) {
    throw bad_input(
        "{}: the model has no tokenizer.json. Copy it there from the model's page; rows that are "
        "already "
        "tokenized ({{\"input_ids\": [...]}}) need none.",
        model_folder.string());
  }
  return file;
}

}  // namespace loadline
