#include "cli/contradictions.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include "cli/flags.h"

namespace loadline {
namespace {

using Member = std::string_view;  // a flag, of any value or "=" this one

// Not all members of a line may be given. Where it is open which of them gives way, the first does.
constexpr Member kContradictions[][4] = {
    {"--epochs", "--max-steps"},
    {"--demo=true", "--model"},
    {"--yes=true", "--no-save=true"},
    {"--no-shuffle=true", "--batching"},
    {"--memory=true", "--speed-loss"},
    {"--raw-prompt=true", "--system-prompt"},
    {"--resume=true", "--resume-adapter-file"},
    {"--dump=true", "--json=true"},
    {"--template-jsonl=true", "--model"},
    {"--template-jsonl=true", "--demo=true"},
    {"--template-jsonl=true", "--add-generation-prompt=true"},
    {"--steps-per-eval=0", "--early-stopping-patience"},
    {"--test=false", "--test-data"},
    {"--trunk-cache=off", "--trunk-cache-limit"},
    {"--distrust=off", "--distrust-alpha"},
    {"--distrust=off", "--distrust-lambda"},
    {"--distrust=weighted", "--distrust-alpha"},
    {"--distrust=weighted", "--distrust-lambda"},
    {"--temperature=0", "--top-p"},
    {"--temperature=0", "--top-k"},
    {"--temperature=0", "--seed"},
    {"--max=batch", "--batch-size"},
    {"--max=rank", "--lora-rank"},
    {"--max=layers", "--lora-layers"},
    {"--max=seq", "--max-seq-length"},
    {"--max=batch", "--speed-loss"},
    {"--max=layers", "--speed-loss"},
    {"--max=seq", "--speed-loss"},
    // Nothing is left to take from either.
    {"--profile", "--batch-size", "--lora-rank", "--lora-layers"},
    {"--profile", "--batch-size", "--resume-adapter-file"},
    {"--conservative=true", "--batch-size", "--lora-rank", "--lora-layers"},
    {"--conservative=true", "--batch-size", "--resume-adapter-file"}};

// What an adapter brings gives way to it. Not the other way round: whether they contradict is in
// the adapter, and training from another than was asked for would be worse than being refused.
constexpr Member kAdapter = "--resume-adapter-file";
constexpr Member kOfAdapter[] = {"--lora-rank", "--lora-layers", "--lora-alpha", "--target-modules",
                                 "--rslora"};

std::string_view name_of(Member member) { return member.substr(0, member.find('=')); }

std::optional<double> number_in(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_same(const std::string& value, std::string_view wanted) {
  if (wanted == "true" || wanted == "false") {  // what is no toggle's word stands behind it
    return toggle_value(value).value_or(true) == (wanted == "true");
  }
  return value == wanted || (number_in(wanted) && number_in(value) == number_in(wanted));
}

const GivenFlag* last_of(std::span<const GivenFlag> flags, std::string_view name) {
  const auto found = std::find_if(flags.rbegin(), flags.rend(),
                                  [&](const GivenFlag& flag) { return flag.name == name; });
  return found == flags.rend() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string> giving_way(const std::vector<GivenFlag>& weaker,
                                    const std::vector<GivenFlag>& stronger) {
  const auto is_strong = [&](Member member) {
    return last_of(stronger, name_of(member)) != nullptr;
  };
  const auto is_said = [&](Member member) {
    const std::string_view name = name_of(member);
    const GivenFlag* flag = is_strong(member) ? last_of(stronger, name) : last_of(weaker, name);
    const bool has_value = name.size() < member.size();
    return flag != nullptr && (!has_value || is_same(flag->value, member.substr(name.size() + 1)));
  };
  std::vector<std::string> names;
  for (const auto& line : kContradictions) {
    const std::span members(std::begin(line),
                            std::find(std::begin(line), std::end(line), Member()));
    if (!std::all_of(members.begin(), members.end(), is_said)) continue;
    if (std::none_of(members.begin(), members.end(), is_strong)) continue;
    const auto losers = is_strong(members.front()) ? members.subspan(1) : members.first(1);
    for (const Member member : losers) {
      if (!is_strong(member)) names.emplace_back(name_of(member));
    }
  }
  if (is_strong(kAdapter)) names.insert(names.end(), std::begin(kOfAdapter), std::end(kOfAdapter));
  return names;
}

}  // namespace loadline
