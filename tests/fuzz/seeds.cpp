// Writes the first inputs of each fuzz target: fuzz_seeds FOLDER. Each is read once, as a seed that
// is refused at the door would lead nowhere.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "checkpoint/mlx.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"
#include "text/tokenizer.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// A target's seeds, in a folder of its name.
class Seeds {
 public:
  explicit Seeds(fs::path folder) : folder_(std::move(folder)) {
    fs::remove_all(folder_);  // a run adds what it found; each test begins anew
    make_folder(folder_);
  }
  void add(std::string_view content) { replace_file(folder_ / std::to_string(count_++), content); }

 private:
  fs::path folder_;
  int count_ = 0;
};

std::string small_safetensors(const fs::path& folder) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto bytes = std::as_bytes(std::span(values));
  const std::vector<TensorToWrite> tensors{
      {.name = "a", .dtype = DType::kF32, .shape = {2, 3}, .data = bytes},
      {.name = "b", .dtype = DType::kBf16, .shape = {3}, .data = bytes.first(6)},
      {.name = "c", .dtype = DType::kU8, .shape = {}, .data = bytes.first(1)},
      {.name = "d", .dtype = DType::kI64, .shape = {0, 4}, .data = {}}};
  write_safetensors(folder / "seed.safetensors", tensors, {{"format", "pt"}});
  return read_file(folder / "seed.safetensors", 1_MiB);
}

void safetensors_seeds(const fs::path& folder) {
  Seeds seeds(folder / "safetensors_header");
  const std::string file = small_safetensors(folder);
  seeds.add(file);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  const auto data_bytes = static_cast<std::uint16_t>(file.size() - 8 - length);
  // The target's second reading: the data's size in two bytes, then the header's text.
  std::string text(2, '\0');
  std::memcpy(text.data(), &data_bytes, 2);
  seeds.add(text + file.substr(8, length));
  seeds.add(std::string(2, '\0') + "{}");
}

void config_seeds(const fs::path& folder) {
  Seeds seeds(folder / "config");
  const auto add_config = [&](const std::string& text) {
    (void)parse_config(parse_json(text, "seed"), "seed");
    seeds.add(text);
  };
  add_config(read_file(LOADLINE_SOURCE_DIR "/demo/model/config.json", 1_MiB));
  add_config(R"({"model_type":"qwen2","vocab_size":99,"hidden_size":64,"intermediate_size":96,
"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"use_sliding_window":true,
"sliding_window":16,"max_window_layers":0,"eos_token_id":[1,2],"layer_types":["sliding_attention",
"sliding_attention"],"rope_parameters":{"rope_type":"llama3","rope_theta":5e5,"factor":8,
"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}})");
  add_config(R"({"model_type":"phi3","vocab_size":99,"hidden_size":16,"intermediate_size":9,
"num_hidden_layers":1,"num_attention_heads":2,"original_max_position_embeddings":64,
"partial_rotary_factor":0.5,"rope_scaling":{"type":"longrope","short_factor":[1,2],
"long_factor":[3,4]}})");
  add_config(R"({"model_type":"gemma3_text","vocab_size":99,"hidden_size":16,"intermediate_size":9,
"num_hidden_layers":4,"num_attention_heads":4,"query_pre_attn_scalar":9,"sliding_window":7,
"sliding_window_pattern":3,"final_logit_softcapping":3.5,"rope_local_base_freq":10,
"rope_parameters":{"full_attention":{"rope_type":"linear","factor":8},"sliding_attention":{}}})");
  Adapter adapter;
  adapter.lora = {.rank = 1, .alpha = 2, .layers = 1, .targets = {Projection::kQ}};
  adapter.pairs.push_back({.layer = 0, .projection = Projection::kQ, .a = {1}, .b = {1}});
  write_adapter(folder / "adapter", adapter);
  const std::string adapter_config = read_file(folder / "adapter" / "adapter_config.json", 1_MiB);
  (void)parse_peft_config(parse_json(adapter_config, "seed"), "seed");
  seeds.add(adapter_config);
  Json uneven = parse_json(adapter_config, "seed");
  uneven["rank_pattern"] = {{"q_proj", 4}, {".*v_proj", 8}};
  uneven["alpha_pattern"] = {{"^model.layers.0.mlp.down_proj", 3.5}};
  uneven["layers_pattern"] = "layers";
  uneven["use_rslora"] = true;
  (void)parse_peft_config(uneven, "seed");
  seeds.add(uneven.dump());
  (void)parse_mlx_config(mlx_config(adapter), "seed");
  seeds.add(mlx_config(adapter).dump());
}

// A whole vocabulary would leave no time for mutations: bytes, a few pieces and merges are enough.
Json small_vocabulary(bool byte_fallback) {
  Json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"a", 3},      {"b", 4},      {"ab", 5},
                     {"l", 6},     {"o", 7},   {"lo", 8},   {"\u2581", 9}, {"\u0120", 10}};
  int next = static_cast<int>(vocabulary.size());
  for (int byte = 0; byte_fallback && byte < 256; ++byte) {
    vocabulary[fmt::format("<0x{:02X}>", byte)] = next++;
  }
  return vocabulary;
}

Json small_tokenizer(bool byte_fallback) {
  Json json = Json::parse(read_file(LOADLINE_SOURCE_DIR "/demo/model/tokenizer.json", 16_MiB));
  json["model"]["vocab"] = small_vocabulary(byte_fallback);
  json["model"]["merges"] = Json::array({"a b", "l o"});
  json["added_tokens"] = Json::array();
  for (const auto& [id, content] : {std::pair(0, "<unk>"), std::pair(1, "<s>")}) {
    json["added_tokens"].push_back({{"id", id},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  }
  return json;
}

void tokenizer_seeds(const fs::path& folder) {
  Seeds seeds(folder / "tokenizer");
  const auto add_tokenizer = [&](const Json& json) {
    (void)Tokenizer::parse(json.dump(), "seed");
    seeds.add(json.dump());
  };
  add_tokenizer(small_tokenizer(true));
  Json bytes = small_tokenizer(false);
  bytes["normalizer"] = nullptr;
  bytes["post_processor"] = nullptr;
  bytes["pre_tokenizer"] = {{"type", "ByteLevel"},
                            {"add_prefix_space", false},
                            {"trim_offsets", true},
                            {"use_regex", true}};
  bytes["decoder"] = bytes["pre_tokenizer"];
  bytes["model"]["byte_fallback"] = false;
  bytes["model"]["unk_token"] = nullptr;
  add_tokenizer(bytes);
  bytes["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern", {{"Regex", "\\p{L}+|\\s+(?!\\S)|\\p{N}{1,3}"}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  add_tokenizer(bytes);
}

}  // namespace
}  // namespace loadline

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw loadline::usage_error("fuzz_seeds FOLDER");
    loadline::make_folder(argv[1]);
    loadline::safetensors_seeds(argv[1]);
    loadline::config_seeds(argv[1]);
    loadline::tokenizer_seeds(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
