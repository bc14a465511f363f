// loadline fuse: base and adapter as one model folder.
#include "model/fuse.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "base/stopwatch.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "checkpoint/weights.h"
#include "commands/adapter_base.h"
#include "commands/command.h"
#include "machine/facts.h"
#include "machine/interrupt.h"
#include "report/print.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kMostOfAFile = 512_MiB;
constexpr std::string_view kIndex = "model.safetensors.index.json";

struct FuseOptions {
  WorkloadOptions base;  // its model alone
  std::string adapter_path, output;
};

// Configuration, tokenizer, chat template, licence: what is not weights and not an adapter.
bool belongs_to_model(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name == kAdapterConfig || name.ends_with(".index.json") || name.starts_with("."))
    return false;
  for (const char* beginning : {"LICENSE", "NOTICE"}) {
    if (name.starts_with(beginning)) return true;
  }
  constexpr std::array kKinds{".json", ".txt", ".model", ".jinja", ".tiktoken"};
  return std::find(kKinds.begin(), kKinds.end(), file.extension()) != kKinds.end();
}

void copy_file_to(const fs::path& from, const fs::path& folder) {
  replace_file(folder / from.filename(), read_file(from, kMostOfAFile));
}

void copy_companions_in(const fs::path& from, const fs::path& folder) {
  make_folder(folder);
  for (const auto& entry : fs::directory_iterator(from)) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && belongs_to_model(entry.path())) {
      copy_file_to(entry.path(), folder);
    }
  }
}

void copy_companions(const fs::path& model, const fs::path& folder) {
  copy_companions_in(model, folder);
  constexpr const char* kTemplates = "additional_chat_templates";
  std::error_code ignored;
  if (fs::is_directory(model / kTemplates, ignored)) {
    copy_companions_in(model / kTemplates, folder / kTemplates);
  }
  // The files keep their names and sizes, so the index stays true.
  if (!fs::exists(model / "model.safetensors")) copy_file_to(model / kIndex, folder);
}

void require_space(const WeightFiles& files, const fs::path& folder) {
  Bytes needed;
  for (const auto& file : files.files()) needed += Bytes{file.second.file_size};
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= needed.count) return;
  throw environment_error("{}: {} are needed, but the disk has {} left",
                          folder.parent_path().string(), to_string(needed),
                          to_string(Bytes{space.available}));
}

void require_no_interrupt() {
  if (interrupted()) throw Error(ErrorKind::kInterrupted, "interrupted: nothing was written");
}

int run_fuse(const FuseOptions& options) {
  const Stopwatch watch;
  const fs::path folder = model_folder_of(options.base, ModelParts::kAll);
  const ModelConfig model = read_config(folder);
  const AnyAdapter adapter = read_any_adapter(options.adapter_path, model);
  tell(stderr, "{}", other_base_warning(base_named_by(adapter), folder, model));
  const WeightFiles files(folder);
  catch_interrupts();
  NewFolder output(options.output);
  require_space(files, output.path());
  const FuseReport report = fuse_weights(files, model, adapter, output.path(),
                                         read_machine().cpu.usable, require_no_interrupt);
  copy_companions(folder, output.path());
  output.commit();
  if (options.base.json) {
    const Json document{{"schema_version", 1},         {"written_to", options.output},
                        {"matrices", report.matrices}, {"bytes", report.bytes.count},
                        {"files", report.files},       {"seconds", watch.seconds()}};
    fmt::print("{}\n", document.dump(2));
    return 0;
  }
  fmt::print("Fused {} matrices into {} ({} of weights, files: {}) in {:.1f} s\n", report.matrices,
             options.output, to_string(report.bytes), report.files, watch.seconds());
  return 0;
}

}  // namespace

CommandFunction add_fuse(Flags flags) {
  const auto options = std::make_shared<FuseOptions>();
  add_model_flags(flags, options->base);
  add_demo_flag(flags, options->base, "The embedded model");
  flags.required("--adapter-path DIR|FILE", options->adapter_path,
                 "Adapter of PEFT or mlx-lm: its folder or its .safetensors");
  flags.required("--output,--save-path DIR", options->output, "The new model folder");
  return [options] { return run_fuse(*options); };
}

}  // namespace loadline
