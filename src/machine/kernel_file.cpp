#include "machine/kernel_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;

std::vector<std::string_view> split_at(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t from = text.find_first_not_of(separators);
  while (from != std::string_view::npos) {
    const std::size_t to = text.find_first_of(separators, from);
    parts.push_back(text.substr(from, to - from));
    from = text.find_first_not_of(separators, to);
  }
  return parts;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data() + from, text.data() + text.size(), value);
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::string> read_kernel_file(const fs::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) return std::nullopt;
  std::string text;
  char piece[4096];
  while (text.size() < kLargestFile) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  return text;
}

std::optional<std::uint64_t> read_kernel_number(const fs::path& path) {
  const auto text = read_kernel_file(path);
  return text ? parse_number(*text) : std::nullopt;
}

std::optional<std::string> write_kernel_file(const fs::path& path, std::string_view text) {
  const FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.is_open()) return system_reason();
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n < 0) return system_reason();
  return std::nullopt;
}

std::optional<std::string> kernel_line(std::string_view text, std::string_view name) {
  for (const std::string_view line : split_lines(text)) {
    if (!line.starts_with(name)) continue;
    const std::string_view rest = line.substr(name.size());
    // "oom_kill" must not be found in "oom_kill_disable 0".
    const bool whole = name.ends_with(':') || rest.empty() || rest[0] == ' ' || rest[0] == '\t';
    if (!whole) continue;
    const std::size_t from = rest.find_first_not_of(" \t:");
    if (from == std::string_view::npos) return std::string();
    return std::string(rest.substr(from, rest.find_last_not_of(" \t") - from + 1));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> kernel_field(std::string_view text, std::string_view name) {
  const auto line = kernel_line(text, name);
  return line ? parse_number(*line) : std::nullopt;
}

std::optional<Bytes> kernel_field_kib(std::string_view text, std::string_view name) {
  const auto number = kernel_field(text, name);
  if (!number || *number > UINT64_MAX / 1024) return std::nullopt;
  return Bytes{*number * 1024};
}

std::vector<std::string> read_process_stat(pid_t pid) {
  const auto text = read_kernel_file("/proc/" + std::to_string(pid) + "/stat");
  // The name in parentheses may itself hold blanks and parentheses.
  const std::size_t after = text ? text->rfind(')') : std::string::npos;
  if (after == std::string::npos) return {};
  const auto words = split_words(std::string_view(*text).substr(after + 1));
  return {words.begin(), words.end()};
}

std::vector<std::string_view> split_words(std::string_view line) { return split_at(line, " \t\n"); }
std::vector<std::string_view> split_lines(std::string_view text) { return split_at(text, "\n"); }

}  // namespace loadline
