// What a file is that people take for JSON lines, and how it becomes such.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

// By the first bytes of the file: a format that can hold no line at all (Parquet, Arrow, SQLite,
// zip, bzip2, xz, UTF-16). Empty where it may be text, else a sentence with the way out; `file` is
// named in it.
std::string binary_format_advice(std::string_view head, const std::string& file);

// By the first line that is not blank, when it is no good row: a tar archive, a JSON list,
// pretty-printed JSON, binary data, a table, plain text. Empty where it looks like a row with a
// mistake in it.
std::string text_format_advice(std::string_view first_line, const std::string& file);

}  // namespace loadline
