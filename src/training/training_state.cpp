#include "training/training_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr int kStateVersion = 1;
constexpr std::size_t kMostDigits = 18;
constexpr const char* kTensorFile = "training_state.safetensors";
constexpr const char* kStateFile = "training_state.json";

// What changes the numbers of a run. Paths, reports and saves do not. Threads change the last bits;
// they are what the machine leaves today, so that another number is said and not refused.
constexpr auto kMustAgree =
    std::to_array<std::string_view>({"batch_size",      "grad_accumulation_steps",
                                     "max_seq_length",  "lora_rank",
                                     "lora_alpha",      "lora_layers",
                                     "target_modules",  "compute",
                                     "quantize",        "learning_rate",
                                     "warmup_steps",    "lr_schedule",
                                     "weight_decay",    "max_grad_norm",
                                     "distrust",        "distrust_alpha",
                                     "distrust_lambda", "seed",
                                     "order",           "lora_plus_ratio",
                                     "lora_dropout"});

// Flags that make what is compared, beside one of its own name.
constexpr auto kMadeBy =
    std::to_array<std::pair<std::string_view, std::string_view>>({{"lora_alpha", "--rslora"},
                                                                  {"data", "--data"},
                                                                  {"data", "--mask-prompt"},
                                                                  {"data", "--skip-bad-rows"},
                                                                  {"data", "--template-date"},
                                                                  {"data", "--max-seq-length"}});

// "--rslora is not as it was then"; empty where none of the flags that were changed makes `key`.
std::string words_of_changed(std::string_view key, const std::vector<std::string>& changed) {
  std::vector<std::string> flags;
  for (const std::string& flag : changed) {
    const bool makes_it = std::any_of(kMadeBy.begin(), kMadeBy.end(), [&](const auto& made) {
      return made.first == key && made.second == flag;
    });
    if (makes_it) flags.push_back(flag);
  }
  if (flags.empty()) return "";
  return fmt::format("{} {} not as {} then", fmt::join(flags, ", "),
                     flags.size() == 1 ? "is" : "are", flags.size() == 1 ? "it was" : "they were");
}

// The step that a checkpoint's folder is of; -1 for another folder.
std::int64_t step_named(const fs::path& folder) {
  const std::string name = folder.filename().string();
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  return error == std::errc{} && end == name.data() + name.size() ? step : -1;
}

std::string hash_of(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Of a setting, as it is typed.
std::string flag_of(std::string_view key) {
  if (key == "compute") return "--compute-dtype";
  if (key == "order") return "the order of rows (--batching, --no-shuffle)";
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

Json agreed_settings(const TrainingSettings& settings) {
  const Json all = to_json(settings);
  Json agreed = Json::object();
  for (const std::string_view key : kMustAgree) agreed[std::string(key)] = all.at(std::string(key));
  // The other schedules are stretched over max_steps.
  if (settings.schedule != LearningRateSchedule::kConstant)
    agreed["max_steps"] = settings.max_steps;
  return agreed;
}

void write_state(const fs::path& folder, LoraModel& model, const TrainingSettings& settings,
                 const RunIdentity& identity, std::int64_t step) {
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(model.parameters().size())};
  const std::array<TensorToWrite, 2> tensors{
      TensorToWrite{"first_moments", DType::kF32, shape, std::as_bytes(model.first_moments())},
      TensorToWrite{"second_moments", DType::kF32, shape, std::as_bytes(model.second_moments())}};
  write_safetensors(folder / kTensorFile, tensors, {{"step", std::to_string(step)}});
  const Json state{{"schema_version", kStateVersion},
                   {"step", step},
                   {"micro_batches", step * settings.grad_accumulation_steps},
                   {"finished", false},
                   {"threads", settings.threads},
                   {"parameters_sha256", hash_of(model.parameters())},
                   {"model", identity.model},
                   {"data", identity.data},
                   {"settings", agreed_settings(settings)}};
  replace_file(folder / kStateFile, state.dump(2) + "\n");
}

void require_same(std::string_view what, const Json& then, const Json& now,
                  const fs::path& checkpoint) {
  if (then == now) return;
  throw usage_error(
      "--resume: {} is {}, but the run in {} was made with {}. Give the same, or start a new run "
      "from its weights with --resume-adapter-file and another --adapter-path",
      what, now.dump(), checkpoint.string(), then.dump());
}

Json read_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateFile;
  const Json state = read_json(path);
  const std::int64_t version = json_int(state, "schema_version", path.string());
  if (version != kStateVersion) {
    throw bad_input("{}: schema_version {}, but this program reads {}", path.string(), version,
                    kStateVersion);
  }
  return state;
}

std::int64_t step_of(const Json& state, const fs::path& checkpoint) {
  const std::string source = (checkpoint / kStateFile).string();
  const std::int64_t step = json_int(state, "step", source);
  if (step < 1 || step > 1'000'000'000) {
    throw bad_input("{}: 'step' is {}, but must be between 1 and 1000000000", source, step);
  }
  return step;
}

void require_made_with(const Json& state, const TrainingSettings& settings,
                       const RunIdentity& identity, const fs::path& checkpoint,
                       const std::vector<std::string>& changed = {}) {
  const std::string of_data = words_of_changed("data", changed);
  require_same(
      fmt::format("the data (its hash; {})",
                  of_data.empty()
                      ? "--template-date counts where the chat template asks for it, and so "
                        "does a version of Loadline that reads rows otherwise"
                      : of_data),
      state.value("data", Json()), identity.data, checkpoint);
  require_same("the model (its hash)", state.value("model", Json()), identity.model, checkpoint);
  const Json then = state.value("settings", Json::object());
  const Json agreed = agreed_settings(settings);
  for (const auto& item : agreed.items()) {
    std::string what = flag_of(item.key());
    const std::string made_by = words_of_changed(item.key(), changed);
    if (!made_by.empty()) what += fmt::format(" ({})", made_by);
    if (item.key() == "max_steps") {
      what += fmt::format(" (over which the {} schedule is stretched)", name_of(settings.schedule));
    }
    require_same(what, then.is_object() ? then.value(item.key(), Json()) : Json(), item.value(),
                 checkpoint);
  }
  const std::int64_t step = step_of(state, checkpoint);
  if (settings.max_steps >= step) return;
  throw usage_error("--resume: --max-steps is {}, but the run in {} is at step {}. Give {} or more",
                    settings.max_steps, checkpoint.string(), step, step);
}

// 0: not known, of a file that an older program wrote.
int threads_of(const Json& state, const fs::path& checkpoint) {
  if (json_find(state, "threads") == nullptr) return 0;
  const std::string source = (checkpoint / kStateFile).string();
  const std::int64_t threads = json_int(state, "threads", source);
  if (threads < 1 || threads > 4096) {
    throw bad_input("{}: 'threads' is {}, but must be between 1 and 4096", source, threads);
  }
  return static_cast<int>(threads);
}

void read_moments(const SafetensorsHeader& header, const std::string& name, std::span<float> into) {
  const auto it = header.tensors.find(name);
  if (it == header.tensors.end()) {
    throw bad_input("{}: tensor '{}' is missing", header.path.string(), name);
  }
  const TensorInfo& info = it->second;
  if (info.dtype != DType::kF32 || info.bytes != into.size_bytes()) {
    throw bad_input("{}: tensor '{}' is {} with {} bytes, but the adapter needs f32 with {} bytes",
                    header.path.string(), name, name_of(info.dtype), info.bytes, into.size_bytes());
  }
  read_at(header.path, info.begin, std::as_writable_bytes(into));
}

void read_all_moments(const fs::path& checkpoint, std::int64_t step, LoraModel& model) {
  const SafetensorsHeader header = read_safetensors_header(checkpoint / kTensorFile);
  const auto written = header.metadata.find("step");
  if (written == header.metadata.end() || written->second != std::to_string(step)) {
    throw bad_input("{}: is of step {}, but {} beside it is of step {}", header.path.string(),
                    written == header.metadata.end() ? "(none)" : written->second, kStateFile,
                    step);
  }
  read_moments(header, "first_moments", model.first_moments());
  read_moments(header, "second_moments", model.second_moments());
}

}  // namespace

Checkpoints::Checkpoints(fs::path adapter_path) : folder_(std::move(adapter_path)) {
  folder_ /= "checkpoints";
}

std::optional<fs::path> Checkpoints::latest() const {
  const fs::path pointer = folder_ / "latest";
  if (!is_there(pointer)) return std::nullopt;
  std::string name = read_file(pointer, 1_KiB);
  if (!name.empty() && name.back() == '\n') name.pop_back();
  const bool digits =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (name.empty() || name.size() > kMostDigits || !digits) {
    throw bad_input("{}: should hold the name of a checkpoint, like 0000100; it is damaged",
                    pointer.string());
  }
  return folder_ / name;
}

std::int64_t Checkpoints::latest_step() const {
  const std::optional<fs::path> checkpoint = latest();
  return checkpoint ? step_named(*checkpoint) : 0;
}

std::optional<fs::path> Checkpoints::one_before_latest() const {
  std::optional<fs::path> before;
  for (fs::path& checkpoint : all()) {
    const std::int64_t step = step_named(checkpoint);
    if (step >= latest_step() || (before && step < step_named(*before))) continue;
    before = std::move(checkpoint);
  }
  return before;
}

std::optional<bool> Checkpoints::finished() const {
  try {
    const std::optional<fs::path> checkpoint = latest();
    if (!checkpoint) return std::nullopt;
    return json_bool(read_state(*checkpoint), "finished", checkpoint->string());
  } catch (const Error&) {
    return std::nullopt;
  }
}

void Checkpoints::clear() {
  std::error_code
      ignored;  // What cannot be removed is overwritten, or fails there with its reason.
  for (const fs::path& file : files()) fs::remove_all(file, ignored);
  fs::remove(folder_, ignored);  // unless there is more in it
}

std::vector<fs::path> Checkpoints::all() const {
  std::error_code ignored;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(folder_, ignored), end; it != end; it.increment(ignored)) {
    if (it->is_directory(ignored) && step_named(it->path()) >= 0) folders.push_back(it->path());
  }
  return folders;
}

std::vector<fs::path> Checkpoints::files() const {
  std::vector<fs::path> files;
  if (is_there(folder_ / "latest")) files.push_back(folder_ / "latest");
  for (fs::path& checkpoint : all()) files.push_back(std::move(checkpoint));
  return files;
}

fs::path Checkpoints::save(LoraModel& model, const Adapter& adapter,
                           const TrainingSettings& settings, const RunIdentity& identity,
                           std::int64_t step) {
  const std::string name = fmt::format("{:07}", step);
  const fs::path current = folder_ / name;
  try {
    make_folder(current);
    write_adapter(current, adapter);
    write_state(current, model, settings, identity, step);
    replace_file(folder_ / "latest", name + "\n");
  } catch (const Error&) {
    // The next try needs the room that a checkpoint takes which does not count.
    std::error_code ignored;
    if (latest() != current) fs::remove_all(current, ignored);
    throw;
  }
  prune(current, settings.keep_checkpoints);
  return current;
}

void Checkpoints::mark_finished() const {
  const std::optional<fs::path> checkpoint = latest();
  if (!checkpoint) return;
  Json state = read_state(*checkpoint);
  const Json* finished = json_find(state, "finished");
  if (finished != nullptr && *finished == Json(true)) return;
  state["finished"] = true;
  replace_file(*checkpoint / kStateFile, state.dump(2) + "\n");
}

void Checkpoints::prune(const fs::path& current, std::int64_t kept) const {
  std::error_code ignored;  // A folder too many harms nothing.
  std::vector<fs::path> others = all();
  std::erase(others, current);
  std::sort(others.begin(), others.end(),
            [](const fs::path& a, const fs::path& b) { return step_named(a) > step_named(b); });
  std::int64_t left = kept - 1;
  for (const fs::path& other : others) {
    // What is newer than the latest was torn, or is of a run that went on from an earlier step.
    const bool stays = step_named(other) < step_named(current) && left-- > 0;
    if (!stays) fs::remove_all(other, ignored);
  }
}

void Checkpoints::remove_unfinished_files() const {
  const fs::path adapter = folder_.parent_path();
  std::vector<fs::path> folders = all();
  for (const fs::path& place : {adapter, adapter / "best"}) {
    folders.push_back(place);
    folders.push_back(place / "mlx");
  }
  folders.push_back(folder_);
  for (const fs::path& folder : folders) remove_unfinished(folder, std::chrono::seconds(0));
}

std::int64_t step_of_checkpoint(const fs::path& checkpoint) { return step_named(checkpoint); }

void require_same_run(const fs::path& checkpoint, const TrainingSettings& settings,
                      const RunIdentity& identity, const std::vector<std::string>& changed) {
  require_made_with(read_state(checkpoint), settings, identity, checkpoint, changed);
}

Restored restore(const fs::path& checkpoint, const ModelConfig& config,
                 const TrainingSettings& settings, const RunIdentity& identity, LoraModel& model) {
  const Json state = read_state(checkpoint);
  require_made_with(state, settings, identity, checkpoint);
  const Restored restored{.step = step_of(state, checkpoint),
                          .threads = threads_of(state, checkpoint)};
  model.load_adapter(read_adapter(checkpoint, config));
  if (hash_of(model.parameters()) !=
      json_string(state, "parameters_sha256", (checkpoint / kStateFile).string())) {
    throw bad_input(
        "{}: the adapter is not the one that {} was written with. Start a new run from the adapter "
        "with --resume-adapter-file",
        checkpoint.string(), kStateFile);
  }
  read_all_moments(checkpoint, restored.step, model);
  model.parameters_changed();
  return restored;
}

}  // namespace loadline
