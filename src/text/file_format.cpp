#include "text/file_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/shell_quoted.h"

namespace loadline {
namespace {

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

std::string with_pandas(std::string_view read, const std::string& file) {
  return fmt::format(
      "python3 -c 'import pandas, sys; pandas.{}.to_json(\"rows.jsonl\", orient=\"records\", "
      "lines=True)' {}",
      read, shell_quoted(file));
}

std::string unpacked(std::string_view program, const std::string& file) {
  return fmt::format("{} -dc {} > rows.jsonl", program, shell_quoted(file));
}

std::string advice(const std::string& file, std::string_view what, const std::string& command) {
  return fmt::format("{}: this looks like {}, not JSON lines. Convert it: {}", file, what, command);
}

// POSIX.1-1988's mark, which GNU's tar writes too. It may have been compressed, so that it is known
// only by what comes out.
bool is_tar(std::string_view first_line) {
  constexpr std::size_t kMark = 257;
  return first_line.size() > kMark && first_line.substr(kMark).starts_with("ustar");
}

bool has_control_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\f') ||
           c == 0x7f;
  });
}

}  // namespace

std::string binary_format_advice(std::string_view head, const std::string& file) {
  using std::string_view_literals::operator""sv;
  if (head.starts_with("PAR1")) {
    return advice(file, "Parquet", with_pandas("read_parquet(sys.argv[1])", file));
  }
  if (head.starts_with("PK\x03\x04")) {
    return fmt::format(
        "{}: this looks like a zip archive, not JSON lines. Unpack it (unzip {}) and give the "
        "JSONL file that is in it",
        file, shell_quoted(file));
  }
  if (head.starts_with("BZh") && head.find("1AY&SY") == 4) {
    return advice(file, "bzip2", unpacked("bzip2", file));
  }
  if (head.starts_with("\xfd\x37zXZ\0"sv)) return advice(file, "xz", unpacked("xz", file));
  if (head.starts_with("ARROW1\0\0"sv)) {
    return advice(file, "Arrow", with_pandas("read_feather(sys.argv[1])", file));
  }
  if (head.starts_with("\xff\xff\xff\xff")) {
    return advice(file, "Arrow",
                  fmt::format("python3 -c 'import datasets, sys; datasets.Dataset.from_file("
                              "sys.argv[1]).to_json(\"rows.jsonl\")' {}",
                              shell_quoted(file)));
  }
  if (head.starts_with("SQLite format 3\0"sv)) {
    return advice(file, "SQLite",
                  fmt::format("sqlite3 -json {} 'SELECT * FROM TABLE' | jq -c '.[]' > rows.jsonl",
                              shell_quoted(file)));
  }
  const bool marked = head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff");
  const bool little = head.starts_with("{\0"sv) || head.starts_with("[\0"sv);
  const bool big = head.starts_with("\0{"sv) || head.starts_with("\0["sv);
  if (!marked && !little && !big) return {};
  return advice(file, "UTF-16",
                fmt::format("iconv -f {} -t UTF-8 {} > rows.jsonl",
                            marked   ? "UTF-16"
                            : little ? "UTF-16LE"
                                     : "UTF-16BE",
                            shell_quoted(file)));
}

std::string text_format_advice(std::string_view first_line, const std::string& file) {
  const std::string line = trimmed(first_line);
  if (line.empty()) return {};
  if (is_tar(first_line)) {
    return fmt::format(
        "{}: this looks like a tar archive, not JSON lines. Unpack it (tar -xf {}) and give the "
        "JSONL file that is in it",
        file, shell_quoted(file));
  }
  if (line.front() == '[') {
    return advice(file, "a JSON list",
                  fmt::format("jq -c '.[]' {} > rows.jsonl", shell_quoted(file)));
  }
  if (line == "{" || (line.front() == '{' && (line.ends_with("[") || line.ends_with("{")))) {
    return advice(file, "JSON that is spread over several lines",
                  fmt::format("jq -c . {} > rows.jsonl (where the rows are a list in it, say "
                              "under \"data\": jq -c '.data[]')",
                              shell_quoted(file)));
  }
  const auto first = static_cast<unsigned char>(line.front());
  if (line.front() == '{' || (std::isalnum(first) == 0 && line.front() != '"' && first < 0x80)) {
    return {};
  }
  if (has_control_byte(line)) {
    return fmt::format(
        "{}: this looks like binary data, not JSON lines. Rows are text: have the program that "
        "made it write JSONL",
        file);
  }
  if (line.find('\t') != std::string::npos) {
    return advice(file, "a table (TSV)", with_pandas("read_csv(sys.argv[1], sep=\"\\t\")", file));
  }
  const auto semicolons = std::count(line.begin(), line.end(), ';');
  if (semicolons > std::count(line.begin(), line.end(), ',')) {
    return advice(file, "a table (CSV)", with_pandas("read_csv(sys.argv[1], sep=\";\")", file));
  }
  if (line.find(',') != std::string::npos) {
    return advice(file, "a table (CSV)", with_pandas("read_csv(sys.argv[1])", file));
  }
  return advice(file, "plain text",
                fmt::format("jq -Rc '{{text: .}}' {} > rows.jsonl makes a row of each line",
                            shell_quoted(file)));
}

}  // namespace loadline
