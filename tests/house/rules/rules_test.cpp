// The house rules: ARCHITECTURE.md's folder table and the promises below it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <array>
#include <set>

#include "base/file.h"
#include "house/rules/source_tree.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> document(const std::string& name) {
  const std::string text = read_file(fs::path(LOADLINE_SOURCE_DIR) / name, 1_MiB);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

const FolderTable& table() {
  static const FolderTable kTable = parse_folder_table(document("ARCHITECTURE.md"));
  return kTable;
}

std::vector<SourceFile> sources() { return source_files({"src"}, {".h", ".cpp"}); }

// Places outside the rooms `allowed` whose code has one of `words`.
std::vector<std::string> places_of(const std::vector<std::string>& words,
                                   const std::set<std::string>& allowed) {
  std::vector<std::string> places;
  for (const SourceFile& file : sources()) {
    if (allowed.contains(file.room)) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      if (!has_word(code_of(file.lines[i]), words)) continue;
      places.push_back(file.path + ":" + std::to_string(i + 1) + ": " + file.lines[i]);
    }
  }
  return places;
}

// All rooms but these.
std::set<std::string> all_but(const std::set<std::string>& watched) {
  std::set<std::string> rest;
  for (const auto& room : table()) {
    if (!watched.contains(room.first)) rest.insert(room.first);
  }
  return rest;
}

TEST(FolderTable, IsReadFromTheDocument) {
  const FolderTable parsed =
      parse_folder_table({"# Text", "| folder | its room | may include |", "|---|---|---|",
                          "| base/ | b | nothing of ours |", "| machine/ | m | base |",
                          "| trial/ | t | base, machine |", "| commands/ and main.cpp | c | all |",
                          "", "| other/ | no row of the table | base |"});
  EXPECT_EQ(parsed.size(), 4U);
  EXPECT_THAT(parsed.at("base"), UnorderedElementsAre("base"));
  EXPECT_THAT(parsed.at("trial"), UnorderedElementsAre("trial", "base", "machine"));
  EXPECT_THAT(parsed.at("commands"), UnorderedElementsAre("commands", "base", "machine", "trial"));
}

TEST(FolderTable, HasARowForEachFolderAndAFolderForEachRow) {
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(LOADLINE_SOURCE_DIR "/src")) {
    if (entry.is_directory()) folders.insert(entry.path().filename().string());
  }
  std::set<std::string> rows;
  for (const auto& [room, allowed] : table()) {
    rows.insert(room);
    for (const std::string& name : allowed) {
      EXPECT_TRUE(table().contains(name)) << room << " may include '" << name << "', a room that "
                                          << "the table does not have";
    }
  }
  EXPECT_EQ(rows, folders);
}

TEST(FolderTable, AllowsEveryIncludeInSrc) {
  int seen = 0;
  for (const SourceFile& file : sources()) {
    ASSERT_TRUE(table().contains(file.room)) << file.path;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string include = own_include(file.lines[i]);
      if (include.empty()) continue;
      ++seen;
      const std::string room = include.substr(0, include.find('/'));
      const std::string place = file.path + ":" + std::to_string(i + 1);
      EXPECT_THAT(table().at(file.room), Contains(room))
          << place << ": " << file.room << "/ may not include " << include
          << " (ARCHITECTURE.md, the table of folders)";
      EXPECT_TRUE(fs::exists(fs::path(LOADLINE_SOURCE_DIR) / "src" / include))
          << place << ": includes of ours are written from src/: " << include;
    }
  }
  EXPECT_GT(seen, 50) << "the includes were not found at all";
}

TEST(SourceLines, AreReadAsCodeWithoutCommentsAndTexts) {
  EXPECT_EQ(code_of("a(\"x // y\", 'b');  // fork()"), "a(, 'b');  ");
  EXPECT_EQ(code_of("s = \"a\\\"b\" + c;"), "s =  + c;");
  EXPECT_EQ(own_include("#include \"base/file.h\"  // why"), "base/file.h");
  EXPECT_EQ(own_include("#include <vector>"), "");
  EXPECT_EQ(own_include("// #include \"base/file.h\""), "");
}

TEST(SourceLines, AreSearchedForWholeWords) {
  EXPECT_TRUE(has_word("x = fork();", {"fork("}));
  EXPECT_TRUE(has_word("::fork()", {"open", "fork("}));
  EXPECT_FALSE(has_word("x = my_fork();", {"fork("}));
  EXPECT_TRUE(has_word("std::ifstream in;", {"ifstream"}));
  EXPECT_FALSE(has_word("ifstreams", {"ifstream"}));
  EXPECT_TRUE(has_word("ifstreams ifstream", {"ifstream"}));
}

TEST(Promises, OnlyBaseAndMachineOpenFiles) {
  EXPECT_THAT(places_of({"ifstream", "ofstream", "fstream", "fopen", "freopen", "openat", "mkstemp",
                         "mkostemp", "O_RDONLY", "O_WRONLY", "O_RDWR"},
                        {"base", "machine"}),
              IsEmpty());
}

TEST(Promises, OnlyMachineStartsProcesses) {
  EXPECT_THAT(places_of({"fork(", "vfork(", "clone(", "clone3(", "posix_spawn", "posix_spawnp",
                         "execv", "execve", "execvp", "execl", "execlp", "system(", "popen("},
                        {"machine"}),
              IsEmpty());
}

TEST(Promises, TheEnvironmentIsReadByWorkloadBaseAndMachineAlone) {
  EXPECT_THAT(places_of({"getenv", "secure_getenv", "environ"}, {"workload", "base", "machine"}),
              IsEmpty());
}

TEST(Promises, KernelsAndModelNeitherPrintNorExit) {
  EXPECT_THAT(places_of({"cout", "cerr", "clog", "puts", "printf", "fprintf", "vprintf",
                         "fmt::print", "exit(", "_exit(", "quick_exit(", "abort("},
                        all_but({"kernels", "model"})),
              IsEmpty());
}

TEST(Promises, SearchKnowsNeitherProcessesNorFilesNorClocks) {
  EXPECT_THAT(places_of({"steady_clock", "system_clock", "high_resolution_clock", "filesystem",
                         "sleep_for", "::time(", "clock_gettime", "pid_t"},
                        all_but({"search"})),
              IsEmpty());
}

TEST(Words, NothingIsLeftToDoInAComment) {
  // Put together, so that this file does not hold the words itself.
  const std::vector<std::string> unfinished{std::string("TO") + "DO", std::string("FIX") + "ME",
                                            std::string("XX") + "X"};
  const std::vector<SourceFile> files =
      source_files({"src", "tests", "cmake", "tools", "docs", "bench", ".ci"}, {});
  ASSERT_GT(files.size(), 50U);
  for (const SourceFile& file : files) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(has_word(file.lines[i], unfinished))
          << file.path << ":" << i + 1 << ": " << file.lines[i];
    }
  }
}

// What git keeps at the top. Nothing where git, or its folder, is missing.
std::set<std::string> top_level() {
  std::set<std::string> names;
  FILE* list = ::popen("git -C '" LOADLINE_SOURCE_DIR "' ls-files 2>/dev/null", "r");
  if (list == nullptr) return names;
  std::array<char, 4096> line{};
  while (std::fgets(line.data(), line.size(), list) != nullptr) {
    const std::string path(line.data());
    names.insert(path.substr(0, path.find_first_of("/\n")));
  }
  ::pclose(list);
  return names;
}

TEST(Tree, KeepsNoRunsOutput) {
  const std::set<std::string> kept = top_level();
  if (kept.empty()) GTEST_SKIP() << "not a clone, or there is no git here";
  const std::set<std::string> house = {".ci",
                                       ".clang-format",
                                       ".clang-tidy",
                                       ".gitignore",
                                       "ARCHITECTURE.md",
                                       "bench",
                                       "CMakeLists.txt",
                                       "CMakePresets.json",
                                       "CONTRIBUTING.md",
                                       "README.md",
                                       "cmake",
                                       "demo",
                                       "docs",
                                       "src",
                                       "tests",
                                       "tools",
                                       ".gitattributes",
                                       "LICENSE"};
  for (const std::string& name : kept) EXPECT_TRUE(house.contains(name)) << name;
}

TEST(Words, EveryHeaderIsGuarded) {
  for (const SourceFile& file : source_files({"src"}, {".h"})) {
    EXPECT_THAT(file.lines, Contains("#pragma once")) << file.path;
  }
}

}  // namespace
}  // namespace loadline
