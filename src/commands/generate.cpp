// loadline generate: continues a prompt, so that people can read what they trained.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/number_text.h"
#include "base/split_mix.h"
#include "base/stopwatch.h"
#include "checkpoint/adapter.h"
#include "checkpoint/weights.h"
#include "commands/adapter_base.h"
#include "commands/command.h"
#include "commands/plan_view.h"
#include "kernels/gemm.h"
#include "machine/facts.h"
#include "machine/interrupt.h"
#include "machine/process_memory.h"
#include "model/generator.h"
#include "report/print.h"
#include "text/rows.h"
#include "text/text_stream.h"
#include "workload/cache.h"
#include "workload/model_source.h"
#include "workload/options.h"
#include "workload/paths.h"
#include "workload/workload.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kChunk = 512;
// Of a tokenizer's file, in quarters: what it holds in memory, and needs while it is read, beside
// the program. docs/generate.md.
constexpr std::uint64_t kTokenizerQuarters = 7;
constexpr std::uint64_t kReadingQuarters = 26;
constexpr Bytes kProgram = 16_MiB;

struct GenerateOptions {
  WorkloadOptions shared;  // model, memory limit, margin, compute type, seed, json
  std::optional<std::string> adapter_path, system_prompt;
  std::string prompt;
  bool raw_prompt = false;
  bool plan_only = false;
  std::int64_t max_tokens = 256;
  SamplingSettings sampling;
};

void validate_sampling(const GenerateOptions& options) {
  const SamplingSettings& s = options.sampling;
  if (!(s.temperature >= 0 && s.temperature <= 100)) {
    throw usage_error("--temperature {}: should be between 0 (always the likeliest) and 100",
                      s.temperature);
  }
  if (!(s.top_p > 0 && s.top_p <= 1)) {
    throw usage_error("--top-p {}: should be above 0 and at most 1", s.top_p);
  }
  if (s.top_k < 0) throw usage_error("--top-k {}: should be at least 0; 0 is all", s.top_k);
  if (s.temperature == 0 && (s.top_p < 1 || s.top_k > 0)) {
    throw usage_error("--top-p and --top-k need a --temperature above 0: at 0 nothing is drawn");
  }
  if (s.temperature == 0 && options.shared.seed != 0 && !is_shared_flag("--seed")) {
    throw usage_error("--seed {}: needs a --temperature above 0, as at 0 nothing is drawn",
                      options.shared.seed);
  }
  if (options.max_tokens < 1) {
    throw usage_error("--max-tokens {}: should be at least 1", options.max_tokens);
  }
  if (options.raw_prompt && options.system_prompt) {
    throw usage_error("--system-prompt needs the chat template, which --raw-prompt turns off");
  }
}

std::string prompt_text(const GenerateOptions& options) {
  if (options.prompt != "-") return options.prompt;
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  if (text.empty()) throw usage_error("--prompt -: stdin is empty");
  return text;
}

std::vector<std::int32_t> prompt_ids(const GenerateOptions& options, const RowReader& reader,
                                     const Tokenizer& tokenizer) {
  const std::string prompt = prompt_text(options);
  if (options.raw_prompt || !reader.has_chat_template()) {
    if (options.system_prompt) {
      throw usage_error("--system-prompt: the model has no chat template that would take it");
    }
    return tokenizer.encode(prompt, true);
  }
  Json messages = Json::array();
  if (options.system_prompt) {
    messages.push_back({{"role", "system"}, {"content", *options.system_prompt}});
  }
  messages.push_back({{"role", "user"}, {"content", prompt}});
  // The template writes the special tokens, so that none are added.
  return tokenizer.encode(reader.render(messages, nullptr, true), false);
}

// As transformers: generation_config.json's where it says so, else config.json's; and what the
// tokenizer calls its end. An answer is over where the template ends it, which many fine-tunes of
// base models learn without naming that token anywhere.
std::vector<std::int64_t> stop_ids(const fs::path& folder, const ModelConfig& model,
                                   const RowReader& reader, bool raw_prompt) {
  std::vector<std::int64_t> ids = model.eos_ids;
  const fs::path file = folder / "generation_config.json";
  if (fs::exists(file)) {
    const Json document = read_json(file);
    if (const Json* eos = json_find(document, "eos_token_id")) {
      ids.clear();
      for (const Json& id : eos->is_array() ? *eos : Json::array({*eos})) {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() > INT32_MAX) {
          throw bad_input("{}: eos_token_id has {:.60}, which is not a token", file.string(),
                          id.dump());
        }
        ids.push_back(id.get<std::int64_t>());
      }
    }
  }
  if (reader.end_of_text()) ids.push_back(*reader.end_of_text());
  const std::optional<std::int32_t> turn = raw_prompt ? std::nullopt : reader.end_of_turn();
  if (turn) ids.push_back(*turn);
  return ids;
}

// Generation multiplies bf16 as the CPU does: for one token, widening would only read more.
DType compute_of(const std::string& word) {
  if (word == "auto") return bf16_is_fast() ? DType::kBf16 : DType::kF32;
  if (word == "bf16" && !bf16_is_supported()) {
    throw usage_error(
        "--compute-dtype bf16: this CPU has no AVX-512, which bf16 needs here. Use f32.");
  }
  return word == "bf16" ? DType::kBf16 : DType::kF32;
}

GenerationShape shape_of(const GenerateOptions& options, const fs::path& folder,
                         const ModelConfig& model, std::size_t prompt, int threads) {
  const auto tokens = static_cast<std::int64_t>(prompt);
  if (tokens < 1) throw usage_error("--prompt: has no token");
  if (tokens >= model.max_positions) {
    throw usage_error(
        "--prompt: has {} tokens, but the model has {} positions, of which the answer "
        "needs some",
        tokens, model.max_positions);
  }
  const std::int64_t room = model.max_positions - tokens;
  const std::uint64_t quarter = fs::file_size(folder / "tokenizer.json") / 4;
  return {.context = tokens + std::min(options.max_tokens, room),
          .chunk = std::min(tokens, kChunk),
          .compute = compute_of(options.shared.compute_dtype),
          .quantize = options.shared.quantize == "nf4" ? Quantization::kNf4 : Quantization::kNone,
          .threads = threads,
          .tokenizer = Bytes{kTokenizerQuarters * quarter},
          .before_arena = kProgram + Bytes{kReadingQuarters * quarter}};
}

void tell_cut_answer(const GenerateOptions& options, std::int64_t most, const ModelConfig& model) {
  if (most >= options.max_tokens) return;
  tell(stderr,
       "--max-tokens {}: the model has {} positions, which leaves the answer at most {} tokens\n",
       options.max_tokens, model.max_positions, most);
}

// All memory is planned before it is taken, as in training.
void require_fit(const MemoryPlan& plan, const Budget& budget, double margin) {
  const Bytes needed = adjusted(plan.total().bytes, margin);
  if (needed <= budget.bytes) return;
  throw Error(ErrorKind::kDoesNotFit,
              fmt::format("generating does not fit: planned {} and {} margin make {}, the budget "
                          "is {} ({}). A smaller --max-tokens or --compute-dtype bf16 needs less; "
                          "--plan shows every line.",
                          to_string(plan.total().bytes), percent_text(margin), to_string(needed),
                          to_string(budget.bytes), budget.binds));
}

// Quantized ones are kept, as training keeps them: docs/prepared-weights.md.
void load_weights(Generator& generator, const WeightFiles& files, const GenerationShape& shape) {
  if (shape.quantize == Quantization::kNone) return generator.load_weights(files);
  generator.load_weights(
      files, prepared_weights_of(files, {.compute = shape.compute, .quantize = shape.quantize}));
}

struct Continuation {
  std::vector<std::int32_t> ids;
  std::string text;
  std::string_view finish = "length";  // stop, length, interrupted
  double prompt_seconds = 0, seconds = 0;
};

void show(const std::string& text, bool wanted) {
  if (!wanted || text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

Continuation run(Generator& generator, const GenerateOptions& options, std::int64_t most,
                 std::span<const std::int32_t> prompt, const std::vector<std::int64_t>& stops,
                 const Tokenizer& tokenizer) {
  Continuation result;
  TextStream stream(tokenizer, prompt);
  SplitMix random(options.shared.seed);
  Stopwatch watch;
  generator.feed(prompt, interrupted);  // where it is, nothing is drawn below
  result.prompt_seconds = watch.lap();
  const auto say = [&](const std::string& text) {
    result.text += text;
    show(text, !options.shared.json);
  };
  while (static_cast<std::int64_t>(result.ids.size()) < most) {
    if (interrupted()) {
      result.finish = "interrupted";
      break;
    }
    const std::int32_t id = generator.sample(options.sampling, random.next_unit());
    if (id < 0) {
      throw bad_input(
          "the model's numbers are not finite after {} tokens: are the weights damaged?",
          generator.position());
    }
    result.ids.push_back(id);
    if (std::find(stops.begin(), stops.end(), id) != stops.end()) {
      result.finish = "stop";
      break;
    }
    say(stream.push(id));
    if (static_cast<std::int64_t>(result.ids.size()) < most) generator.feed({&id, 1});
  }
  say(stream.finish());
  result.seconds = watch.lap();
  return result;
}

void report(const Continuation& result, std::size_t prompt, const MemoryPlan& plan, bool json) {
  const double rate = static_cast<double>(result.ids.size()) / std::max(result.seconds, 1e-9);
  const double prompt_rate = static_cast<double>(prompt) / std::max(result.prompt_seconds, 1e-9);
  const Bytes peak = read_own_memory().peak;
  if (!json) {
    fmt::print("\n");
    std::fflush(stdout);
    fmt::print(stderr,
               "prompt {} tokens, {:.1f} tokens/s; answer {} tokens, {:.1f} tokens/s ({}); "
               "peak {}, planned {}\n",
               prompt, prompt_rate, result.ids.size(), rate, result.finish, to_string(peak),
               to_string(plan.total().bytes));
    return;
  }
  const Json document{{"schema_version", 1},
                      {"text", result.text},
                      {"ids", result.ids},
                      {"finish", result.finish},
                      {"prompt_tokens", prompt},
                      {"prompt_tokens_per_second", prompt_rate},
                      {"tokens_per_second", rate},
                      {"peak_bytes", peak.count},
                      {"planned_bytes", plan.total().bytes.count}};
  fmt::print("{}\n", document.dump(2));
}

int show_plan(const MemoryPlan& plan, const Budget& budget, const WorkloadOptions& options) {
  if (options.json) {
    fmt::print("{}\n", plan_document(plan, budget, options.margin).dump(2));
  } else {
    print_plan(plan, budget, options.margin);
  }
  return adjusted(plan.total().bytes, options.margin) <= budget.bytes ? 0 : 1;
}

int run_generate(const GenerateOptions& options) {
  validate(options.shared);
  validate_sampling(options);
  const fs::path folder = model_folder_of(options.shared, ModelParts::kAll);
  const ModelConfig model = read_config(folder);
  tokenizer_file(folder);
  const RowReader reader(folder, model.vocab_size, {});
  const Tokenizer& tokenizer = *reader.tokenizer();
  const std::vector<std::int32_t> prompt = prompt_ids(options, reader, tokenizer);
  const MachineFacts machine = read_machine();
  const GenerationShape shape = shape_of(options, folder, model, prompt.size(), machine.cpu.usable);
  const auto most = shape.context - static_cast<std::int64_t>(prompt.size());
  tell_cut_answer(options, most, model);
  AnyAdapter adapter;
  if (options.adapter_path) {
    adapter = read_any_adapter(*options.adapter_path, model);
    tell(stderr, "{}", other_base_warning(base_named_by(adapter), folder, model));
  }
  const Budget budget = compute_budget(machine.memory, options.shared.limit());
  const MemoryPlan plan = plan_generation(model, adapter, shape).step.memory;
  if (options.plan_only) return show_plan(plan, budget, options.shared);
  require_fit(plan, budget, options.shared.margin);
  catch_interrupts();
  Generator generator(model, adapter, shape);
  load_weights(generator, WeightFiles(folder), shape);
  generator.warm_up();
  const Continuation result = run(generator, options, most, prompt,
                                  stop_ids(folder, model, reader, options.raw_prompt), tokenizer);
  report(result, prompt.size(), plan, options.shared.json);
  return result.finish == "interrupted" ? 3 : 0;
}

}  // namespace

CommandFunction add_generate(Flags flags) {
  const auto options = std::make_shared<GenerateOptions>();
  add_model_flags(flags, options->shared);
  add_demo_flag(flags, options->shared, "The embedded model");
  add_memory_flags(flags, options->shared);
  flags.value("--adapter-path DIR|FILE", options->adapter_path,
              "Adapter of PEFT or mlx-lm: its folder or its .safetensors");
  flags.required("--prompt", options->prompt, "What to answer, or to continue; - reads stdin");
  flags.value("--system-prompt", options->system_prompt, "A system message before the prompt");
  flags.toggle("--raw-prompt,--ignore-chat-template", options->raw_prompt,
               "Continue the prompt itself; without it the chat template is applied where there is "
               "one");
  flags.value("--max-tokens", options->max_tokens, "The most tokens of the answer");
  flags.value("--temperature,--temp", options->sampling.temperature,
              "0: always the likeliest token");
  flags.value("--top-p", options->sampling.top_p,
              "Draw from the likeliest tokens that together reach this probability");
  flags.value("--top-k", options->sampling.top_k, "Draw from the k likeliest tokens; 0: all");
  flags.value("--seed", options->shared.seed, "Of the draws");
  flags.value("--compute-dtype auto|f32|bf16", options->shared.compute_dtype,
              "Of the products; auto is bf16 where the CPU has it");
  flags.value("--quantize none|nf4", options->shared.quantize,
              "Frozen weights: none, or nf4 as in training with it");
  flags.toggle("--plan", options->plan_only, "Show where every byte would go, and end");
  return [options] { return run_generate(*options); };
}

}  // namespace loadline
