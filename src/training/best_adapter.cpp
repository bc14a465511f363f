#include "training/best_adapter.h"

#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {

void BestAdapter::clear() {
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  std::filesystem::remove(folder_ / "best.json", ignored);
  remove_adapters(folder_);
  std::filesystem::remove(folder_, ignored);  // unless there is more in it
  best_.reset();
}

void BestAdapter::take_up() {
  const std::filesystem::path path = folder_ / "best.json";
  if (!std::filesystem::exists(path)) return;
  try {
    const Json document = read_json(path);
    const Json* validation = json_find(document, "validation");
    if (validation != nullptr && *validation != Json(validation_)) return;
    best_ = {.step = json_int(document, "step", path.string()),
             .valid_loss = json_number(document, "valid_loss", path.string())};
  } catch (const Error&) {
    best_.reset();
  }
}

void BestAdapter::replace(const Adapter& adapter, AdapterFormat format, std::int64_t step,
                          double valid_loss) {
  write_adapter(folder_, adapter, format);
  best_ = {.step = step, .valid_loss = valid_loss};
  remove_adapters(folder_, format);
  const Json document{{"schema_version", 1},
                      {"step", step},
                      {"valid_loss", valid_loss},
                      {"validation", validation_}};
  try {
    replace_file(folder_ / "best.json", document.dump(2) + "\n");
  } catch (const Error&) {  // else the adapter would stand beside the record of another one
    std::error_code ignored;
    std::filesystem::remove(folder_ / "best.json", ignored);
    throw;
  }
}

}  // namespace loadline
