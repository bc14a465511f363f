#include "text/file_format.h"

#include <fmt/format.h>

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

std::string advice(const std::string& file, std::string_view what, const std::string& command) {
  return fmt::format("{}: this looks like {}, not JSON lines. Convert it: {}", file, what, command);
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
  if (line.find('\t') != std::string::npos) {
    return advice(file, "a table (TSV)", with_pandas("read_csv(sys.argv[1], sep=\"\\t\")", file));
  }
  if (line.find(',') != std::string::npos) {
    return advice(file, "a table (CSV)", with_pandas("read_csv(sys.argv[1])", file));
  }
  return advice(file, "plain text",
                fmt::format("jq -Rc '{{text: .}}' {} > rows.jsonl makes a row of each line",
                            shell_quoted(file)));
}

}  // namespace loadline
