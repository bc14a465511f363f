#include "kernels/threads.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>

namespace loadline {
namespace {

std::ptrdiff_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST(SetThreads, StartsThemAtOnce) {
  set_threads(1);
  const std::ptrdiff_t before = threads_of_this_process();
  set_threads(7);
  EXPECT_GE(threads_of_this_process(), 7);
  EXPECT_GT(threads_of_this_process(), before);
  set_threads(2);
}

}  // namespace
}  // namespace loadline
