#include "training/best_adapter.h"

#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {

void BestAdapter::clear() {
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  std::filesystem::remove(folder_ / "best.json", ignored);
  std::filesystem::remove_all(folder_, ignored);
  loss_.reset();
}

void BestAdapter::take_up() {
  const std::filesystem::path path = folder_ / "best.json";
  if (!std::filesystem::exists(path)) return;
  try {
    loss_ = json_number(read_json(path), "valid_loss", path.string());
  } catch (const Error&) {
    loss_.reset();
  }
}

void BestAdapter::replace(const Adapter& adapter, AdapterFormat format, std::int64_t step,
                          double valid_loss) {
  write_adapter(folder_, adapter, format);
  const Json document{{"schema_version", 1}, {"step", step}, {"valid_loss", valid_loss}};
  replace_file(folder_ / "best.json", document.dump(2) + "\n");
  loss_ = valid_loss;
}

}  // namespace loadline
