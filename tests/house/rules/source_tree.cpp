#include "house/rules/source_tree.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "base/file.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& path) {
  std::istringstream text(read_file(path, 64_MiB));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::string room_of(const fs::path& relative) {
  auto part = relative.begin();
  if (*part != "src") return "";
  ++part;
  return std::next(part) == relative.end() ? "commands" : part->string();
}

bool ends_with_any(const std::string& path, const std::vector<std::string>& endings) {
  return endings.empty() ||
         std::any_of(endings.begin(), endings.end(),
                     [&](const std::string& ending) { return path.ends_with(ending); });
}

// "| a | b | c |" -> {"a", "b", "c"}; nothing for a line that is no row.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("|")) return cells;
  std::istringstream row(line.substr(1));
  for (std::string cell; std::getline(row, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    const std::size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

bool is_identifier(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

}  // namespace

std::vector<SourceFile> source_files(const std::vector<std::string>& folders,
                                     const std::vector<std::string>& endings) {
  const fs::path root = LOADLINE_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const fs::path relative = fs::relative(entry.path(), root);
      if (!entry.is_regular_file() || !ends_with_any(relative.string(), endings)) continue;
      files.push_back(
          {.path = relative.string(), .room = room_of(relative), .lines = lines_of(entry.path())});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

FolderTable parse_folder_table(const std::vector<std::string>& lines) {
  FolderTable table;
  std::vector<std::string> for_all;
  bool inside = false;
  for (const std::string& line : lines) {
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() < 3) {
      inside = false;
      continue;
    }
    if (cells[2] == "may include") {
      inside = true;
      continue;
    }
    const std::size_t slash = cells[0].find('/');
    if (!inside || slash == std::string::npos) continue;
    const std::string room = cells[0].substr(0, slash);
    table[room] = {room};
    if (cells[2] == "all") for_all.push_back(room);
    if (cells[2] == "all" || cells[2] == "nothing of ours") continue;
    std::istringstream names(cells[2]);
    for (std::string name; std::getline(names >> std::ws, name, ',');) table[room].insert(name);
  }
  for (const std::string& room : for_all) {
    for (const auto& other : table) table[room].insert(other.first);
  }
  return table;
}

std::string own_include(std::string_view line) {
  constexpr std::string_view kStart = "#include \"";
  if (!line.starts_with(kStart)) return "";
  line.remove_prefix(kStart.size());
  return std::string(line.substr(0, line.find('"')));
}

std::string code_of(std::string_view line) {
  std::string code;
  bool in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      if (line.substr(i, 2) == "//") break;
      code += c;
    }
  }
  return code;
}

bool has_word(std::string_view text, const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + 1)) {
      const std::size_t end = at + word.size();
      const bool begins = at == 0 || !is_identifier(text[at - 1]) || !is_identifier(word.front());
      const bool ends =
          end == text.size() || !is_identifier(text[end]) || !is_identifier(word.back());
      if (begins && ends) return true;
    }
    return false;
  });
}

}  // namespace loadline
