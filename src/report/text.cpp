#include "report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "trial/advice.h"

namespace loadline {
namespace {

// Each character takes one: of UTF-8 the bytes that go on with one are not counted.
std::int64_t columns_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; });
}

std::size_t hanging_indent(std::string_view line) {
  constexpr std::size_t kWidestLabel = 16;
  const std::size_t label = line.find(":  ");
  if (label < kWidestLabel) return line.find_first_not_of(' ', label + 1);
  return line.find_first_not_of(' ') + 2;
}

// The last space behind `from` that lies within the columns, else the first one at all.
std::size_t place_to_break(std::string_view line, std::size_t from, std::int64_t columns) {
  std::size_t place = line.find(' ', from);
  for (std::size_t next = place; next != std::string_view::npos; next = line.find(' ', next + 1)) {
    if (columns_of(line.substr(0, next)) > columns) break;
    place = next;
  }
  return place;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string clean(text);
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const auto code = static_cast<unsigned char>(clean[i]);
    if (code < 0x20 || code == 0x7f) clean[i] = '?';
    // U+0080 to U+009F in UTF-8: some terminals obey these too.
    const auto next = i + 1 < clean.size() ? static_cast<unsigned char>(clean[i + 1]) : 0U;
    if (code == 0xC2 && next >= 0x80 && next <= 0x9F) clean.replace(i, 2, "?");
  }
  return clean;
}

std::string printable_lines(std::string_view text) {
  std::string clean;
  for (std::size_t at = 0;; clean += '\n') {
    const std::size_t end = text.find('\n', at);
    clean += printable(text.substr(at, end - at));
    if (end == std::string_view::npos) return clean;
    at = end + 1;
  }
}

std::string cut_to(std::string_view line, std::int64_t columns) {
  std::size_t end = 0;
  for (std::int64_t taken = 0; end < line.size(); ++end) {
    taken += columns_of(line.substr(end, 1));
    if (taken > columns) break;
  }
  return std::string(line.substr(0, end));
}

std::string bar_in(std::string_view line, std::int64_t columns) {
  const std::size_t picture = line.starts_with('[') ? line.find("] ") : line.npos;
  if (columns_of(line) > columns && picture != line.npos) line.remove_prefix(picture + 2);
  while (columns_of(line) > columns && line.find(", ") != line.npos) {
    line = line.substr(0, line.rfind(", "));
  }
  return cut_to(line, columns);
}

std::string wrapped(const std::string& line, std::int64_t columns) {
  return wrapped_below(line, hanging_indent(line), columns);
}

std::string wrapped_below(const std::string& line, std::size_t indent, std::int64_t columns) {
  constexpr std::int64_t kFewest = 40, kMost = 100;
  columns = std::clamp(columns, kFewest, kMost);
  std::string text;
  std::string rest = line;
  while (columns_of(rest) > columns) {
    const std::size_t place = place_to_break(rest, indent, columns);
    const std::size_t next = rest.find_first_not_of(' ', place);
    if (next == std::string::npos) break;
    text += rest.substr(0, place) + "\n";
    rest = std::string(indent, ' ') + rest.substr(next);
  }
  return text + rest;
}

std::string in_seconds(double seconds) {
  if (seconds >= 10) return fmt::format("{:.1f} s", seconds);
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  return fmt::format("{:.3f} s", seconds);
}

std::string in_time_left(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", std::ceil(seconds));
  const auto minutes = static_cast<long long>(std::ceil(std::min(seconds, 1e9) / 60));
  if (minutes < 90) return fmt::format("{} min", minutes);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string in_time_left(double least, double most) {
  std::string from = in_time_left(least);
  const std::string to = in_time_left(most);
  if (from == to) return to;
  const auto unit = [](const std::string& text) { return text.substr(text.rfind(' ')); };
  const auto is_simple = [](const std::string& text) { return text.find(' ') == text.rfind(' '); };
  if (is_simple(from) && is_simple(to) && unit(from) == unit(to)) from.resize(from.find(' '));
  return from + " to " + to;
}

std::string in_elapsed(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(std::min(seconds, 1e9));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  const auto minutes = std::llround(static_cast<double>(whole) / 60);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string bar_of(double share) {
  constexpr std::size_t kPlaces = 20;
  const auto filled = std::min(kPlaces, static_cast<std::size_t>(share * double{kPlaces}));
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(kPlaces - filled, '.'));
}

std::string describe(const Configuration& configuration) {
  return fmt::format("batch={}, {}", configuration.batch_size, describe_cell(configuration));
}

std::string describe_cell(const Configuration& configuration) {
  std::string text =
      fmt::format("rank={}, layers={}", configuration.lora_rank, configuration.lora_layers);
  if (configuration.sequence > 0) text += fmt::format(", seq={}", configuration.sequence);
  if (configuration.checkpointing == 0) text += ", checkpointing off";
  if (configuration.checkpointing == 1) text += ", checkpointing on";
  return text;
}

std::string heading_of(Verdict verdict) {
  if (is_memory_failure(verdict)) return "Does not fit";
  const bool stops = verdict == Verdict::kInterrupted || verdict == Verdict::kRefused ||
                     verdict == Verdict::kBadInput;
  return fmt::format("{} ({})", stops ? "Stopped" : "Not usable", name_of(verdict));
}

std::string cause_after_heading(const TrialOutcome& outcome) {
  return printable(is_memory_failure(outcome.verdict) ? without_advice(outcome.cause)
                                                      : cause_after_name(outcome));
}

}  // namespace loadline
