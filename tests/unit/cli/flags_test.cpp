#include "cli/flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace loadline {
namespace {

TEST(Flags, AToggleThatIsTypedAsOffIsSaidAsOff) {
  CLI::App app;
  const Flags flags(app);
  bool masks = false;
  bool skips = false;
  std::int64_t seed = 0;
  Flags(flags).toggle("--mask-prompt", masks, "");
  Flags(flags).toggle("--skip-bad-rows", skips, "");
  Flags(flags).value("--seed", seed, "");
  app.parse("--mask-prompt=false --skip-bad-rows --seed 3");
  EXPECT_FALSE(masks);
  EXPECT_EQ(flags.typed(),
            (std::vector<std::string>{"--mask-prompt=false", "--skip-bad-rows", "--seed", "3"}));
}

}  // namespace
}  // namespace loadline
