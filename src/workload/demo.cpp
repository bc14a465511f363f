#include "workload/demo.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "workload/cache.h"
#include "workload/paths.h"

// The files of demo/ as bytes of the program. Their pages are read only when the demo is used, and
// let go of then: they are no part of what training holds.
#define LOADLINE_EMBED(symbol, file)                                                         \
  asm(".section .rodata\n.balign 64\n" #symbol                                               \
      "_begin:\n"                                                                            \
      ".incbin \"" LOADLINE_DEMO_DIR "/" file "\"\n" #symbol "_end:\n.byte 0\n.previous\n"); \
  extern "C" const char symbol##_begin[];                                                    \
  extern "C" const char symbol##_end[];

LOADLINE_EMBED(demo_config, "model/config.json")
LOADLINE_EMBED(demo_generation_config, "model/generation_config.json")
LOADLINE_EMBED(demo_weights, "model/model.safetensors")
LOADLINE_EMBED(demo_tokenizer, "model/tokenizer.json")
LOADLINE_EMBED(demo_tokenizer_config, "model/tokenizer_config.json")
LOADLINE_EMBED(demo_train, "data/train.jsonl")
LOADLINE_EMBED(demo_valid, "data/valid.jsonl")

namespace loadline {
namespace {

struct EmbeddedFile {
  const char* name;
  const char* begin;
  const char* end;
  [[nodiscard]] std::string_view content() const {
    return {begin, static_cast<std::size_t>(end - begin)};
  }
};

const EmbeddedFile kFiles[] = {
    {"model/config.json", demo_config_begin, demo_config_end},
    {"model/generation_config.json", demo_generation_config_begin, demo_generation_config_end},
    {"model/model.safetensors", demo_weights_begin, demo_weights_end},
    {"model/tokenizer.json", demo_tokenizer_begin, demo_tokenizer_end},
    {"model/tokenizer_config.json", demo_tokenizer_config_begin, demo_tokenizer_config_end},
    {"data/train.jsonl", demo_train_begin, demo_train_end},
    {"data/valid.jsonl", demo_valid_begin, demo_valid_end},
};

bool is_there(const std::filesystem::path& file, std::string_view content) {
  std::error_code error;
  if (std::filesystem::file_size(file, error) != content.size() || error) return false;
  const MappedFile mapped(file);
  return std::string_view(reinterpret_cast<const char*>(mapped.bytes().data()),
                          mapped.bytes().size()) == content;
}

bool is_whole(const std::filesystem::path& folder) {
  return std::ranges::all_of(kFiles, [&](const EmbeddedFile& file) {
    const bool same = is_there(folder / file.name, file.content());
    forget_pages(std::as_bytes(std::span(file.content())));
    return same;
  });
}

std::filesystem::path demo_folder() {
  std::filesystem::path folder = cache_folder() / "demo";
  if (!is_whole(folder)) {
    folder = writable_cache("demo");
    for (const EmbeddedFile& file : kFiles) {
      const std::filesystem::path path = folder / file.name;
      if (!is_there(path, file.content())) {
        make_folder(path.parent_path());
        replace_file(path, file.content());
      }
      forget_pages(std::as_bytes(std::span(file.content())));
    }
  }
  return folder;
}

}  // namespace

std::filesystem::path demo_model() { return demo_folder() / "model"; }
std::filesystem::path demo_data() { return demo_folder() / "data"; }

}  // namespace loadline
