#include "base/program_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace loadline {
namespace {

// Constants of this program, in pages of their own.
constexpr std::size_t kPage = 4096;
alignas(kPage) const unsigned char kConstants[64 * kPage] = {1, 2, 3};
alignas(kPage) const unsigned char kWritten[kPage] = {1, 2, 3};

// The compiler must not know it.
unsigned char read_byte(const unsigned char* at) {
  return *static_cast<const volatile unsigned char*>(at);
}

int sum_of_constants() {
  int sum = 0;
  for (const unsigned char& constant : kConstants) sum += read_byte(&constant);
  return sum;
}

struct Held {
  std::uint64_t size = 0, resident = 0;
};

// Of the mappings whose line in smaps has both texts.
Held held_of(const std::string& one, const std::string& other) {
  std::ifstream smaps("/proc/self/smaps");
  Held held;
  bool counts = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kib = 0;
    words >> name;
    if (!name.ends_with(':')) counts = line.find(one) != line.npos && line.find(other) != line.npos;
    if (!counts || !(words >> kib)) continue;
    if (name == "Size:") held.size += kib;
    if (name == "Rss:") held.resident += kib;
  }
  return held;
}

Held held_of_this_program() { return held_of(" r--p ", "/unit_base"); }

TEST(ProgramPages, WhatWasReadOnceIsNoLongerHeldAndReadsTheSame) {
  ASSERT_EQ(sum_of_constants(), 6);
  const Held before = held_of_this_program();
  ASSERT_GE(before.resident, 256U);
  forget_program_pages();
  EXPECT_LE(held_of_this_program().resident + 192, before.resident);
  EXPECT_EQ(sum_of_constants(), 6);
}

TEST(ProgramPages, WhatWasWrittenIsKept) {
  auto* page = const_cast<unsigned char*>(&kWritten[0]);
  ASSERT_EQ(::mprotect(page, kPage, PROT_READ | PROT_WRITE), 0);
  *static_cast<volatile unsigned char*>(page + 1) = 42;
  ASSERT_EQ(::mprotect(page, kPage, PROT_READ), 0);
  forget_program_pages();
  EXPECT_EQ(read_byte(page + 1), 42);
  ASSERT_EQ(::madvise(page, kPage, MADV_DONTNEED), 0);
  EXPECT_EQ(read_byte(page + 1), 2) << "it is no page of the program's file";
}

TEST(ProgramPages, TheMathematicsAreHeldWhole) {
  forget_program_pages();
  const Held code = held_of("/libm.so", " r-xp ");
  ASSERT_GT(code.size, 0U);
  EXPECT_EQ(code.resident, code.size);
}

}  // namespace
}  // namespace loadline
