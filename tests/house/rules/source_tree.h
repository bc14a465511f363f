// The project's own files, as the house tests read them.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace loadline {

struct SourceFile {
  std::string path;  // from the project's root: "src/base/file.cpp"
  std::string room;  // "base"; "commands" for main.cpp; empty outside src/
  std::vector<std::string> lines;
};

// All regular files below `folders`, in the order of their paths, that end with one of `endings`
// (with any, where there are none).
std::vector<SourceFile> source_files(const std::vector<std::string>& folders,
                                     const std::vector<std::string>& endings);

// Room -> the rooms that it may include, itself among them.
using FolderTable = std::map<std::string, std::set<std::string>>;
// From the lines of a Markdown document: the table whose header has "may include".
FolderTable parse_folder_table(const std::vector<std::string>& lines);

// What `line` includes of ours ("base/file.h"), or "".
std::string own_include(std::string_view line);

// The line without its comment and without the content of its string literals.
std::string code_of(std::string_view line);

// Whether one of `words` stands in `text`, not as a part of a longer identifier.
bool has_word(std::string_view text, const std::vector<std::string>& words);

}  // namespace loadline
