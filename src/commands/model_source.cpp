#include "commands/model_source.h"

#include "base/error.h"

namespace loadline {
namespace fs = std::filesystem;

fs::path resolve_model(const std::string& model) {
  if (fs::is_directory(model)) {
    if (!fs::exists(fs::path(model) / "config.json") &&
        !fs::exists(fs::path(model) / "tokenizer.json")) {
      throw bad_input(
          "{}: has neither config.json nor tokenizer.json, so it is not a Hugging Face model "
          "folder",
          model);
    }
    return fs::absolute(model).lexically_normal();
  }
  if (fs::exists(model))
    throw bad_input("{}: --model should name the model's folder, not a file in it", model);
  throw bad_input(
      "{}: there is no such folder. Download the model (config.json, *.safetensors, "
      "tokenizer.json) into a folder, "
      "for example with `huggingface-cli download {} --local-dir DIR`, and give --model DIR.",
      model, model);
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
