#include "training/best_adapter.h"

#include <fmt/format.h>

#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace {

struct Record {
  BestLoss best;
  std::optional<std::string> validation;  // none in one of an older program
};

std::optional<Record> read_record(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const Json document = read_json(path);
    Record record{.best = {.step = json_int(document, "step", path.string()),
                           .valid_loss = json_number(document, "valid_loss", path.string())},
                  .validation = {}};
    if (json_find(document, "untrained_loss") != nullptr) {
      record.best.untrained_loss = json_number(document, "untrained_loss", path.string());
    }
    if (json_find(document, "validation") != nullptr) {
      record.validation = json_string(document, "validation", path.string());
    }
    return record;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// `path`, or with "-2", "-3" ... behind it.
std::filesystem::path unused_name(const std::string& path) {
  std::filesystem::path name = path;
  for (int n = 2; is_there(name); ++n) name = fmt::format("{}-{}", path, n);
  return name;
}

}  // namespace

std::optional<BestLoss> recorded_best(const std::filesystem::path& adapter_path) {
  const std::optional<Record> record = read_record(adapter_path / "best" / "best.json");
  if (!record) return std::nullopt;
  return record->best;
}

bool helps(const BestLoss& best) {
  return !best.untrained_loss || best.valid_loss < *best.untrained_loss;
}

std::string words_of(const BestLoss& best) {
  return fmt::format(
      "of step {} (validation loss {:.3f}{})", best.step, best.valid_loss,
      helps(best) ? "" : fmt::format(", before training {:.3f}", *best.untrained_loss));
}

void BestAdapter::clear() {
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  std::filesystem::remove(folder_ / "best.json", ignored);
  remove_adapters(folder_);
  std::filesystem::remove(folder_, ignored);  // unless there is more in it
  best_.reset();
  is_recorded_ = true;
}

std::string BestAdapter::take_up() {
  const std::optional<Record> record = read_record(folder_ / "best.json");
  if (!record || validation_.empty()) return "";  // without rows none will take its place
  if (record->validation.value_or(validation_) == validation_) {
    best_ = record->best;
    return "";
  }
  const std::filesystem::path beside =
      unused_name(folder_.string() + fmt::format(".step-{}", record->best.step));
  std::error_code error;
  std::filesystem::rename(folder_, beside, error);
  if (error) {
    throw environment_error("{}: cannot be moved to {}: {}", folder_.string(), beside.string(),
                            error.message());
  }
  return fmt::format(
      "The best adapter so far, {}, was the best on other validation rows; it is kept in {}",
      words_of(record->best), beside.string());
}

void BestAdapter::take_up_unrecorded(const BestLoss& loss) {
  if (best_ || validation_.empty() || is_there(folder_ / "best.json")) return;
  if (!holds_adapter(folder_)) return;
  best_ = loss;
  is_recorded_ = false;
}

void BestAdapter::replace(const Adapter& adapter, AdapterFormat format, const BestLoss& loss) {
  write_adapter(folder_, adapter, format);
  best_ = loss;
  is_recorded_ = false;
  remove_adapters(folder_, format);
}

void BestAdapter::record() {
  if (is_recorded_ || !best_) return;
  Json document{{"schema_version", 1},
                {"step", best_->step},
                {"valid_loss", best_->valid_loss},
                {"validation", validation_}};
  if (best_->untrained_loss) document["untrained_loss"] = *best_->untrained_loss;
  try {
    replace_file(folder_ / "best.json", document.dump(2) + "\n");
    is_recorded_ = true;
  } catch (const Error&) {  // else the adapter would stand beside the record of another one
    std::error_code ignored;
    std::filesystem::remove(folder_ / "best.json", ignored);
    throw;
  }
}

}  // namespace loadline
