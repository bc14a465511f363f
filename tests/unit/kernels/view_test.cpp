#include "kernels/view.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace loadline {
namespace {

TEST(ViewTest, PartsPointIntoTheWhole) {
  std::vector<float> memory(40);
  const View whole{memory.data(), DType::kF32, 5, 6, 8};
  const View part = whole.slice(2, 3).columns(1, 4);
  EXPECT_EQ(part.rows, 3);
  EXPECT_EQ(part.cols, 4);
  EXPECT_EQ(part.stride, 8);
  EXPECT_EQ(part.row<float>(1), memory.data() + 3 * 8 + 1);
  const ConstView constant = ConstView(whole).columns(1, 4).slice(2, 3);
  EXPECT_EQ(constant.row<float>(1), memory.data() + 3 * 8 + 1);
}

TEST(ViewTest, ElementSizeFollowsTheType) {
  std::vector<std::uint16_t> memory(40);
  const View whole{memory.data(), DType::kBf16, 5, 8, 8};
  EXPECT_EQ(whole.slice(1, 2).columns(3, 2).row<std::uint16_t>(0), memory.data() + 11);
}

TEST(ViewTest, EmptyPartsAreAllowedAtTheEnd) {
  std::vector<float> memory(6);
  const View whole{memory.data(), DType::kF32, 2, 3, 3};
  EXPECT_EQ(whole.slice(2, 0).rows, 0);
  EXPECT_EQ(whole.columns(3, 0).cols, 0);
}

TEST(ViewTest, PartsOutsideTheWholeAreRefused) {
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  std::vector<float> memory(6);
  const View whole{memory.data(), DType::kF32, 2, 3, 3};
  EXPECT_THROW(static_cast<void>(whole.columns(-1, 1)), std::logic_error);
  EXPECT_THROW(static_cast<void>(whole.columns(2, 2)), std::logic_error);
  EXPECT_THROW(static_cast<void>(whole.columns(1, kHuge)), std::logic_error);
  EXPECT_THROW(static_cast<void>(whole.slice(0, 3)), std::logic_error);
  EXPECT_THROW(static_cast<void>(whole.slice(0, -1)), std::logic_error);
  EXPECT_THROW(static_cast<void>(ConstView(whole).slice(3, 0)), std::logic_error);
}

}  // namespace
}  // namespace loadline
