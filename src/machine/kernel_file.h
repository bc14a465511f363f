// Files of /proc, /sys and cgroups: small texts without a size, written by a single call.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace loadline {

// The first 1 MiB of the file, or nothing when it cannot be read.
std::optional<std::string> read_kernel_file(const std::filesystem::path& path);

// The file's single number; nothing for "max", for text and for a missing file.
std::optional<std::uint64_t> read_kernel_number(const std::filesystem::path& path);

// Writes to an existing file. Returns nothing on success, else the reason ("Permission denied").
std::optional<std::string> write_kernel_file(const std::filesystem::path& path,
                                             std::string_view text);

// "VmHWM:    123 kB" -> the number after `name` at a line's start ("VmHWM:", "oom_kill"), as it
// stands there.
std::optional<std::uint64_t> kernel_field(std::string_view text, std::string_view name);
// The same where the file counts in kB, as /proc/meminfo and /proc/PID/status do.
std::optional<Bytes> kernel_field_kib(std::string_view text, std::string_view name);
// The rest of the line that begins with `name`, trimmed of blanks; nothing when there is none.
std::optional<std::string> kernel_line(std::string_view text, std::string_view name);

// What /proc/PID/stat has after the process's name: its state is word 0. Empty when it is gone.
std::vector<std::string> read_process_stat(pid_t pid);

// The number at the text's start after blanks; nothing where there is none.
std::optional<std::uint64_t> parse_number(std::string_view text);
std::vector<std::string_view> split_words(std::string_view line);
std::vector<std::string_view> split_lines(std::string_view text);

}  // namespace loadline
