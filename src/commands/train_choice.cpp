#include "commands/train_choice.h"

#include <algorithm>

#include "base/error.h"

namespace loadline {
namespace {

// One value and the word on where it comes from; 0 when nobody gave it.
struct Sourced {
  std::int64_t value = 0;
  std::string text;
};

Sourced pick(const char* name, const std::string& from, std::optional<std::int64_t> given,
             const std::optional<Profile>& profile, std::int64_t profiled,
             std::optional<std::int64_t> table) {
  if (given) return {*given, fmt::format("{} {} ({})", name, *given, from)};
  if (profile) return {profiled, fmt::format("{} {} (profile {})", name, profiled, profile->name)};
  if (table) return {*table, fmt::format("{} {} (conservative table)", name, *table)};
  return {};
}

std::string missing_flags(const GivenFlags& flags) {
  std::vector<std::string> missing;
  if (!flags.batch_size) missing.emplace_back("--batch-size");
  if (!flags.lora_rank) missing.emplace_back("--lora-rank");
  if (!flags.lora_layers) missing.emplace_back("--lora-layers");
  return fmt::format("{} {}", fmt::join(missing, ", "), missing.size() == 1 ? "is" : "are");
}

// Whether a word of the command is one of `flags`.
bool is_said(const std::string& flags, const std::vector<std::string>& typed) {
  return std::any_of(typed.begin(), typed.end(), [&](const std::string& word) {
    return word.starts_with("--") && (flags + " ").find(word + " ") != std::string::npos;
  });
}

// How the nearest profile may be taken after all.
std::string ways_to(const ProfileMatch& match, const std::vector<std::string>& typed) {
  if (!match.nearest) return "";
  const std::string& name = match.nearest->name;
  std::string with;
  if (!match.flags.empty()) {
    with = is_said(match.flags, typed)
               ? fmt::format("Replace what the command says by {}", match.flags)
               : fmt::format("Add {} to the same command", match.flags);
    with += fmt::format(" to train with profile {}. ", name);
  }
  return with + fmt::format("--verify proves profile {} here with one trial. ", name);
}

// Which one was taken where it might have been another.
std::string others_that_match(const ProfileMatch& match) {
  if (match.matching.size() < 2) return "";
  const Profile& taken = match.matching.front();
  return fmt::format(
      "{} profiles match; taken: {} (batch {}, rank {}, layers {}, {} {}). `--profile NAME` takes "
      "another; `loadline profile list` names them.",
      match.matching.size(), taken.name, taken.batch_size, taken.lora_rank, taken.lora_layers,
      taken.by_verify ? "verified" : "found", taken.created);
}

}  // namespace

std::int64_t parameter_count(const ModelConfig& model) {
  const std::int64_t attention = model.hidden_size * (2 * model.q_width() + 2 * model.kv_width());
  const std::int64_t mlp = 3 * model.hidden_size * model.intermediate_size;
  const std::int64_t embeddings =
      model.vocab_size * model.hidden_size * (model.tied_embeddings ? 1 : 2);
  return model.layers * (attention + mlp) + embeddings;
}

Configuration conservative_configuration(const ModelConfig& model) {
  constexpr std::int64_t kLarge =
      24'000'000'000;  // the guide's classes are 7-8B, 14B and 32B and more
  const bool large = parameter_count(model) > kLarge;
  return {.batch_size = 2,
          .lora_rank = large ? 96 : 64,
          .lora_layers = std::min<std::int64_t>(large ? 20 : 16, model.layers)};
}

TrainChoice choose_configuration(const GivenFlags& flags, const ProfileMatch& match,
                                 bool conservative, const ModelConfig& model,
                                 const std::vector<std::string>& typed) {
  const std::optional<Profile>& profile = match.profile;
  std::optional<Configuration> table;
  if (conservative) table = conservative_configuration(model);
  const Profile none;
  const Profile& known = profile ? *profile : none;
  const auto of_table = [&](std::int64_t Configuration::*member) {
    return table ? std::optional((*table).*member) : std::nullopt;
  };
  const Sourced batch = pick("batch", flags.batch_from, flags.batch_size, profile, known.batch_size,
                             of_table(&Configuration::batch_size));
  const Sourced rank = pick("rank", flags.rank_from, flags.lora_rank, profile, known.lora_rank,
                            of_table(&Configuration::lora_rank));
  const bool all = flags.lora_layers == -1;
  const Sourced layers =
      pick("layers", flags.layers_from, all ? std::optional(model.layers) : flags.lora_layers,
           profile, known.lora_layers, of_table(&Configuration::lora_layers));
  TrainChoice choice;
  if (batch.text.empty() || rank.text.empty() || layers.text.empty()) {
    throw usage_error(
        "no saved profile matches, and not all is given: {} missing{}{}\n{}Run `loadline find` "
        "first, give the "
        "flags, or take the untested table with --conservative.",
        missing_flags(flags), match.differences.empty() ? "." : ". The nearest profile differs: ",
        fmt::join(match.differences, "; "), ways_to(match, typed));
  }
  const bool all_given = flags.batch_size && flags.lora_rank && flags.lora_layers;
  if (const std::string others = others_that_match(match); !others.empty() && !all_given) {
    choice.notes.push_back(others);
  }
  if (table && !profile) {
    if (match.nearest) {
      choice.notes.push_back(fmt::format("No saved profile matches. The nearest, {}, differs: {}.",
                                         match.nearest->name, fmt::join(match.differences, "; ")));
    }
    choice.notes.emplace_back(
        "The conservative table was not tested on this machine; `loadline find` would be.");
  }
  choice.configuration = {batch.value, rank.value, layers.value};
  choice.source = fmt::format("{}, {}, {}", batch.text, rank.text, layers.text);
  return choice;
}

}  // namespace loadline
