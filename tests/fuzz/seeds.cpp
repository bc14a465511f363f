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
#include "checkpoint/adapter_files.h"
#include "checkpoint/config.h"
#include "checkpoint/mlx.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"
#include "hub/listing.h"
#include "jinja/chat_template.h"
#include "text/tokenizer.h"
#include "trial/journal.h"
#include "trial/observation.h"

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
  add_config(R"({"model_type":"granite","vocab_size":99,"hidden_size":16,"intermediate_size":9,
"num_hidden_layers":1,"num_attention_heads":4,"embedding_multiplier":12.5,"logits_scaling":8,
"residual_multiplier":0.22,"attention_multiplier":0.015625})");
  add_config(R"({"model_type":"smollm3","vocab_size":99,"hidden_size":16,"intermediate_size":9,
"num_hidden_layers":3,"num_attention_heads":4,"no_rope_layers":[1,0,1],"no_rope_layer_interval":2,
"use_sliding_window":true,"sliding_window":5})");
  add_config(R"({"model_type":"olmo2","vocab_size":99,"hidden_size":16,"intermediate_size":9,
"num_hidden_layers":1,"num_attention_heads":4,"attention_bias":true,"eos_token_id":7})");
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
  constexpr std::size_t kLongest = 16'384;  // the targets' -max_len
  for (const char* name : {"unigram", "unigram_ties", "word_piece", "word_piece_cased", "suffix"}) {
    const Json golden = read_json(fs::path(LOADLINE_SOURCE_DIR) / "tests/golden/text/tokenizers" /
                                  (std::string(name) + ".json"));
    const Json& tokenizer = golden["tokenizer"];
    if (tokenizer.dump().size() > kLongest) throw bad_input("{} is too long for a seed", name);
    add_tokenizer(tokenizer);
  }
}

// As adapter.cpp reads it: a byte of choices, two lengths, the configuration, the tensors' header.
void adapter_seeds(const fs::path& folder) {
  Seeds seeds(folder / "adapter");
  const ModelConfig model = parse_config(parse_json(R"({"model_type":"llama","vocab_size":9,
"hidden_size":8,"intermediate_size":12,"num_hidden_layers":3,"num_attention_heads":2,
"num_key_value_heads":1,"max_position_embeddings":64})",
                                                    "seed"),
                                         "seed");
  Adapter adapter;
  adapter.lora = {
      .rank = 2, .alpha = 4, .layers = 2, .targets = {Projection::kQ, Projection::kDown}};
  for (const std::int64_t layer : {1, 2}) {
    for (const Projection target : adapter.lora.targets) {
      const ProjectionShape shape = shape_of(model, target);
      adapter.pairs.push_back(
          {.layer = layer,
           .projection = target,
           .a = std::vector<float>(static_cast<std::size_t>(2 * shape.in), 1),
           .b = std::vector<float>(static_cast<std::size_t>(2 * shape.out), 2)});
    }
  }
  write_adapter(folder / "adapter_files", adapter, AdapterFormat::kBoth);
  const auto add = [&](const fs::path& files, const char* tensors, char choices) {
    (void)read_adapter(files, model);
    const std::string config = read_file(files / kAdapterConfig, 1_MiB);
    const std::string file = read_file(files / tensors, 1_MiB);
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof(length));
    const auto lengths = [&](std::uint16_t rest) {
      const std::uint16_t two[2] = {static_cast<std::uint16_t>(config.size()), rest};
      return std::string(reinterpret_cast<const char*>(two), sizeof(two));
    };
    seeds.add(choices + lengths(static_cast<std::uint16_t>(file.size() - 8 - length)) + config +
              file.substr(8, length));
    seeds.add(static_cast<char>(choices | 2) + lengths(0) + config + file);
  };
  add(folder / "adapter_files", kPeftTensors, 0);
  add(folder / "adapter_files" / "mlx", kMlxTensors, 1);
}

void hub_seeds(const fs::path& folder) {
  Seeds seeds(folder / "hub");
  const auto add_listing = [&](const std::string& files) {
    const std::string text =
        fmt::format(R"({{"sha":"{}","siblings":[{}]}})", std::string(40, 'c'), files);
    (void)parse_hub_listing(text, "seed");
    seeds.add(text);
  };
  add_listing(
      R"({"rfilename":"config.json","size":7,"blobId":")" + std::string(40, '1') +
      R"("},{"rfilename":"a/model.safetensors","lfs":{"sha256":")" + std::string(64, '2') +
      R"("}},{"rfilename":"model.safetensors","size":null},{"rfilename":"tokenizer.json"})");
  add_listing(R"({"rfilename":"x/..y/z.bin"},{"rfilename":"a.gguf","size":9000000000})");
  seeds.add(R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"b.safetensors"}})");
  for (const char* text : {"org/name@refs/pr/1", "org/name@main", "//cdn.example/x?y", "../x",
                           "https://user@hub.example:443/x", "http://[::1]/", "org/a..b@../x"}) {
    seeds.add(text);
  }
}

void protocol_seeds(const fs::path& folder) {
  Seeds seeds(folder / "protocol");
  const auto lines = [](const std::vector<WorkerEvent>& events) {
    std::string text;
    for (const WorkerEvent& event : events) text += encode_event(event) + "\n";
    return text;
  };
  const auto step = [](std::int64_t number) {
    return Stepped{{.step = number,
                    .loss = 2.5,
                    .seconds = 0.5,
                    .tokens = 99,
                    .peak = 5_MiB,
                    .anonymous = 4_MiB}};
  };
  const Loaded loaded{.seconds = 1,
                      .planned = 4_MiB,
                      .peak = 3_MiB,
                      .rows = 2,
                      .worst_batch_tokens = 7,
                      .longest_row = 5};
  const std::string good = lines({loaded, step(1), step(2), step(3), Evaluated{1.5, 0.1, 5_MiB},
                                  Saved{5_MiB}, Finished{6_MiB, 4_MiB, 1_MiB, "covers all"}});
  seeds.add('\xff' + good);
  seeds.add('\0' + good);
  seeds.add('\7' + lines({loaded, step(1), Failed{Verdict::kDiverged, "a loss was not finite"}}));
  seeds.add(
      '\1' +
      std::string(
          R"({"event":"step","step":1,"loss":null,"seconds":1e-300,"tokens":9000000000000000000,"peak_bytes":0})") +
      "\n{}\n");
}

void journal_seeds(const fs::path& folder) {
  Seeds seeds(folder / "journal");
  const fs::path run = folder / "journal_run";
  fs::remove_all(run);
  TrialSpec spec;
  spec.id = 1;
  spec.lora_rank = 8;
  spec.budget = spec.cap = 1_GiB;
  spec.worker = {{"model", "m"}};
  TrialOutcome outcome = refuse(2_GiB, 1_GiB);
  outcome.peak = MeasuredBytes{5_MiB};
  outcome.steps = {{.step = 1, .loss = 2.5, .seconds = 0.5, .tokens = 99, .peak = 5_MiB}};
  outcome.growth = Growth{.relative = 0.1, .bytes_per_step = 9, .half_width = 2};
  outcome.noise.neighbour_cores = 0.5;
  {
    Journal journal(run);
    journal.started(spec);
    seeds.add(read_file(run / "journal.jsonl", 1_MiB));
    journal.finished(spec, outcome);
    spec.id = 2;
    journal.started(spec);
  }
  (void)read_journal(run);
  seeds.add(read_file(run / "journal.jsonl", 1_MiB));
}

void chat_template_seeds(const fs::path& folder) {
  Seeds seeds(folder / "chat_template");
  const auto add = [&](std::string_view text) {
    (void)ChatTemplate(text, "seed");
    seeds.add(text);
  };
  const Json demo = read_json(LOADLINE_SOURCE_DIR "/demo/model/tokenizer_config.json");
  add(demo.at("chat_template").get_ref<const std::string&>());
  add(R"({%- macro f(a, b=2) -%}{{ a|tojson(indent=2) }}{{ b ** 3 // 2 % 5 }}{%- endmacro -%}
{%- set ns = namespace(n=0, last=none) -%}{%- for m in messages[::-1] if m.role != 'system' -%}
{%- set ns.n = ns.n + loop.index0 -%}{{ f(m['content'], b=loop.length) }}{{ loop.previtem is defined }}
{%- else -%}none{%- endfor -%}{{ '%s and %05.1f' % ('x', 2.5) }}{{ "a,b".split(',')|join('-')|upper }})");
  add(R"({% if tools is iterable and tools|length > 0 %}{% for t in tools %}{{ t.function.parameters.items()|list }}
{% endfor %}{% elif not bos_token %}{{ raise_exception('no') }}{% endif %}{% set x %}a{% endset %}{{ x|trim ~ 'b'
}}{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|first|replace('a', 'b') }}{{
strftime_now('%Y') if strftime_now is defined else '' }}{% filter upper %}q{% endfilter %}{# c #}{{ [1,2,3][1:]|sum }})");
}

}  // namespace
}  // namespace loadline

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw loadline::usage_error("fuzz_seeds FOLDER");
    loadline::make_folder(argv[1]);
    loadline::safetensors_seeds(argv[1]);
    loadline::config_seeds(argv[1]);
    loadline::adapter_seeds(argv[1]);
    loadline::hub_seeds(argv[1]);
    loadline::tokenizer_seeds(argv[1]);
    loadline::chat_template_seeds(argv[1]);
    loadline::protocol_seeds(argv[1]);
    loadline::journal_seeds(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
