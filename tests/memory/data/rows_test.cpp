// Reading and packing rows: what the process holds does not grow with the file.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

// 0 when the process is gone.
double peak_kib(pid_t pid) {
  std::FILE* status = std::fopen(("/proc/" + std::to_string(pid) + "/status").c_str(), "r");
  if (status == nullptr) return 0;
  double peak = 0;
  char line[256];
  while (std::fgets(line, sizeof line, status) != nullptr) {
    if (std::string_view(line).starts_with("VmHWM:")) peak = std::atof(line + 6);
  }
  std::fclose(status);
  return peak;
}

// Each of a few hundred tokens.
std::string made_rows(int count) {
  constexpr std::string_view kWords[] = {"harbour", "the ",   "of a ", "lines",   " and",
                                         "ship ",   "load, ", "mark.", "Twelve ", "tides "};
  std::string rows;
  unsigned state = 1;
  for (int row = 0; row < count; ++row) {
    rows += R"({"text":")";
    for (int word = 0; word < 120; ++word) {
      state = state * 1664525U + 1013904223U;
      rows += kWords[(state >> 16) % std::size(kWords)];
    }
    rows += "\"}\n";
  }
  return rows;
}

// VmHWM of a run that packs the rows and then shows each.
double peak_of(const Program& program, int rows) {
  const std::string file = program.write("rows" + std::to_string(rows) + ".jsonl", made_rows(rows));
  double peak = 0;
  const Ended ended =
      program.run_and_look({"data", "--model", demo_model(), "--data", file, "--dump"},
                           [&](pid_t pid) { peak = std::max(peak, peak_kib(pid)); });
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(std::count(ended.out.begin(), ended.out.end(), '\n'), rows);
  return peak;
}

TEST(Rows, PackingAndShowingThemHoldsABoundedPartOfTheFile) {
  constexpr int kFew = 2'000;
  constexpr int kMany = 20'000;
  const Program program;
  const double few = peak_of(program, kFew);
  const double many = peak_of(program, kMany);
  std::cout << kFew << " rows: " << few << " KiB, " << kMany << ": " << many << " KiB\n";
  ASSERT_GT(few, 0);
  // The larger file has 12 MB more, its packed rows 20. A few bytes a row are allowed, and a chunk.
  EXPECT_LE(many - few, 16.0 * (kMany - kFew) / 1024 + 6 * 1024);
}

}  // namespace
}  // namespace loadline::testing
