#include "workload/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/error.h"

namespace loadline {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text + ',');
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return words;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void require_word(const char* flag, const std::string& value,
                  const std::vector<std::string_view>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  throw usage_error("{} {}: should be one of {}", flag, value, fmt::join(allowed, ", "));
}

}  // namespace

std::optional<Bytes> WorkloadOptions::limit() const {
  if (!memory_limit) return std::nullopt;
  const Bytes bytes = parse_bytes(*memory_limit);
  if (bytes < 16_MiB)
    throw usage_error("--memory-limit {}: should be at least 16MiB, which the program itself needs",
                      *memory_limit);
  return bytes;
}

std::vector<std::int64_t> WorkloadOptions::sequences() const {
  if (!max_seq_length) return {};
  const std::vector<std::int64_t> lengths = parse_numbers(*max_seq_length, "--max-seq-length");
  if (lengths.size() > 1 && !compares) {
    throw usage_error("--max-seq-length {}: only find compares several; give one here",
                      *max_seq_length);
  }
  if (lengths.front() < 2) {
    throw usage_error("--max-seq-length {}: should be at least 2, to have a token to predict",
                      lengths.front());
  }
  return lengths;
}

void add_model_flags(Flags flags, WorkloadOptions& options) {
  flags.toggle("--json", options.json, "One JSON document on stdout, everything else on stderr");
  flags.under(kModelAndData)
      .value("--model DIR|ORG/NAME", options.model,
             "Hugging Face folder (config.json, safetensors, tokenizer.json), or "
             "ORG/NAME[@REVISION]");
}

void add_demo_flag(Flags flags, WorkloadOptions& options, const std::string& help) {
  flags.under(kModelAndData).toggle("--demo", options.demo, help);
}

void add_data_flags(Flags flags, WorkloadOptions& options) {
  flags = flags.under(kModelAndData);
  flags.value("--data FILE|DIR", options.data,
              "train.jsonl (or .jsonl.gz, .jsonl.zst), or a folder with train, valid and test");
  flags.value("--valid-data FILE", options.valid_data,
              "Validation rows; valid.jsonl beside the data is found by itself");
  flags.value(options.compares ? "--max-seq-length N,N" : "--max-seq-length N",
              options.max_seq_length,
              std::string("Longer rows are cut to this many tokens; 2048, or what the model has") +
                  (options.compares ? "; several are compared: 512,1024" : ""));
  flags.toggle("--skip-bad-rows", options.skip_bad_rows,
               "Leave out lines that are no good row, and say how many");
  flags.toggle("--mask-prompt", options.mask_prompt,
               "Loss on completions and assistant turns only");
  flags.value("--template-date YYYY-MM-DD", options.template_date,
              "The day that a chat template is told which asks for it; today");
}

void add_lora_flags(Flags flags, WorkloadOptions& options) {
  const auto lora = [&] { return flags.under(kLora); };
  const auto memory = [&] { return flags.under(kMemoryAndSpeed); };
  lora().value("--lora-alpha", options.lora_alpha, "LoRA alpha; 2 x rank when not given");
  lora().value("--lora-dropout", options.lora_dropout,
               "Share of each LoRA input that an update drops");
  lora().toggle("--rslora", options.rslora,
                "Rank-stabilized: scale alpha / sqrt(rank), saved as that alpha");
  lora().value("--target-modules NAMES", options.target_modules,
               "attention (when not given), all, or of q_proj, k_proj, v_proj, o_proj, gate_proj, "
               "up_proj, down_proj (phi3: qkv_proj, o_proj, gate_up_proj, down_proj), with commas");
  lora().value("--seed", options.seed, "Of the adapter, the order of rows, and dropout");
  memory().value("--quantize none|nf4", options.quantize,
                 "Frozen projections: none, or nf4 (QLoRA: 4 bits, double quantization)");
  memory().value(
      "--compute-dtype auto|f32|bf16", options.compute_dtype,
      "Of the products; auto is bf16, with half the memory, wherever that costs no time");
  memory().value(
      options.compares ? "--grad-checkpoint auto|on|off|both" : "--grad-checkpoint auto|on|off",
      options.grad_checkpoint,
      fmt::format("Activation checkpointing{}; auto turns it on where off cannot fit",
                  options.compares ? ", both: compared" : ""));
}

void add_distrust_flags(Flags flags, WorkloadOptions& options) {
  flags = flags.under(kDistrust);
  flags.value("--distrust off|additive|weighted", options.distrust,
              "additive where not given and rows carry auth_weight and prov_entropy");
  flags.value("--distrust-alpha", options.distrust_alpha, "In [2.3, 3.0]; 2.7 when not given");
  flags.value("--distrust-lambda", options.distrust_lambda,
              "Share of the additive term; 1 when not given");
}

void add_memory_flags(Flags flags, WorkloadOptions& options) {
  flags = flags.under(kMemoryAndSpeed);
  flags.value("--memory-limit SIZE", options.memory_limit,
              "Use no more than this, for example 20GiB; GiB, GB and G are all 1024^3 bytes");
  flags.value("--margin", options.margin, "Fits means: peak x (1 + margin) is within the budget");
}

std::vector<std::string> words_for_train(const WorkloadOptions& options) {
  const WorkloadOptions usual;
  std::vector<std::string> words;
  const auto toggle = [&](const char* flag, bool given) {
    if (given) words.emplace_back(flag);
  };
  const auto value = [&](const char* flag, bool given, const auto& value_of) {
    if (given) words.insert(words.end(), {flag, fmt::format("{}", value_of)});
  };
  const auto optional = [&](const char* flag, const auto& given) {
    if (given) value(flag, true, *given);
  };
  toggle("--demo", options.demo && options.data.empty());
  if (options.valid_data) {
    value("--valid-data", true, std::filesystem::absolute(*options.valid_data).string());
  }
  toggle("--skip-bad-rows", options.skip_bad_rows);
  toggle("--mask-prompt", options.mask_prompt);
  optional("--template-date", options.template_date);
  optional("--lora-alpha", options.lora_alpha);
  value("--lora-dropout", options.lora_dropout != usual.lora_dropout, options.lora_dropout);
  toggle("--rslora", options.rslora);
  value("--seed", options.seed != usual.seed, options.seed);
  optional("--distrust", options.distrust);
  optional("--distrust-alpha", options.distrust_alpha);
  optional("--distrust-lambda", options.distrust_lambda);
  optional("--memory-limit", options.memory_limit);
  value("--margin", options.margin != usual.margin, options.margin);
  return words;
}

void validate(const WorkloadOptions& options) {
  require_word("--quantize", options.quantize, {"none", "nf4"});
  require_word("--compute-dtype", options.compute_dtype, {"auto", "f32", "bf16"});
  // find takes `both` for itself.
  require_word("--grad-checkpoint", options.grad_checkpoint,
               options.compares ? std::vector<std::string_view>{"auto", "on", "off", "both"}
                                : std::vector<std::string_view>{"auto", "on", "off"});
  if (options.distrust)
    require_word("--distrust", *options.distrust, {"off", "additive", "weighted"});
  if (!(options.margin >= 0 && options.margin <= 4)) {
    throw usage_error("--margin {}: should be between 0 and 4; 0.15 means 15 %", options.margin);
  }
  if (options.template_date) {
    static_cast<void>(parse_date(*options.template_date, "--template-date"));
  }
  static_cast<void>(options.sequences());
  static_cast<void>(options.limit());
}

std::chrono::year_month_day parse_date(const std::string& text, const std::string& flag) {
  const auto part = [&](std::size_t at, std::size_t size) {
    int number = -1;
    const char* const end = text.data() + at + size;
    const auto [stop, error] = std::from_chars(text.data() + at, end, number);
    return error == std::errc{} && stop == end ? number : -1;
  };
  const bool is_date = text.size() == 10 && text[4] == '-' && text[7] == '-' && part(0, 4) >= 0 &&
                       part(5, 2) >= 0 && part(8, 2) >= 0;
  const auto date = is_date ? std::chrono::year(part(0, 4)) / part(5, 2) / part(8, 2)
                            : std::chrono::year_month_day{};
  if (!is_date || !date.ok()) throw usage_error("{} {}: should be a day as 2026-11-28", flag, text);
  return date;
}

void require_model_and_data(const WorkloadOptions& options) {
  if (options.demo) return;
  if (options.model.empty() && options.data.empty()) {
    throw usage_error(
        "--model DIR or ORG/NAME and --data FILE are missing; --demo would bring both");
  }
  if (options.model.empty()) throw usage_error("--model DIR or ORG/NAME is missing");
  if (options.data.empty()) throw usage_error("--data FILE is missing");
}

std::chrono::seconds parse_duration(const std::string& text, const std::string& flag) {
  const auto refused = [&] {
    return usage_error(
        "{} {}: should be a time such as 90s, 30m, 2h, 1.5h or 1h30m; a number alone means seconds",
        flag, text);
  };
  constexpr double kMost = 3.6e9;
  std::string bare;
  bool after_blank = false;
  for (const char c : text) {
    const bool splits_number = after_blank && is_digit(c) && !bare.empty() && is_digit(bare.back());
    if (splits_number) throw refused();
    after_blank = c == ' ';
    if (!after_blank) bare += c;
  }
  const char* at = bare.data();
  const char* const end = at + bare.size();
  double sum = 0;
  double unit_before = kMost;  // the largest unit comes first
  while (at != end) {
    double amount = 0;
    const auto [behind, error] = std::from_chars(at, end, amount, std::chars_format::fixed);
    const char* const next = std::find_if(behind, end, is_digit);
    const std::string_view word(behind, static_cast<std::size_t>(next - behind));
    const bool is_alone = word.empty() && at == bare.data();
    const double unit = is_alone || word == "s"        ? 1
                        : word == "m" || word == "min" ? 60
                        : word == "h"                  ? 3600
                                                       : 0;
    if (error != std::errc{} || unit == 0 || unit >= unit_before || !(amount >= 0 && amount <= 1e6))
      throw refused();
    sum += amount * unit;
    unit_before = unit;
    at = next;
  }
  if (sum < 1) throw refused();
  return std::chrono::seconds(std::llround(sum));
}

std::vector<std::int64_t> parse_numbers(const std::string& text, const std::string& flag,
                                        std::optional<std::int64_t> all) {
  std::vector<std::int64_t> numbers;
  for (const std::string& word : split(text)) {
    if (all && (word == "all" || word == "-1")) {
      numbers.push_back(*all);
      continue;
    }
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size() || number < 1) {
      throw usage_error("{} {}: '{}' should be a number of at least 1{}, as in 8,16,32", flag, text,
                        word, all ? " or all" : "");
    }
    numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

}  // namespace loadline
