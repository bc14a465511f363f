#include "commands/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cli/flags.h"

namespace loadline {
namespace {

using testing::HasSubstr;

struct Helped {
  CLI::App app{"What it is for", "program"};
  std::string mode = "slow", name;
  std::vector<std::string> names;
  double share = 0.5;
  bool loud = false;
  Helped() {
    Flags flags(app);
    flags.value("--mode slow|fast", mode, "How it goes");
    flags.value("--share,--part", share,
                "A text that is so long that no line of forty-eight columns could hold all of it");
    flags.toggle("--loud", loud, "Say more");
    Flags below = flags.command("show", "Show one");
    below.word("name", name, "As listed");
    flags.command("remove", "Remove some").words("name", names, "As listed");
  }
};

TEST(HelpText, ShowsWhatValuesLookLikeAndTheirDefaults) {
  const Helped helped;
  const std::string text = help_text(helped.app, 100);
  EXPECT_THAT(text, HasSubstr("Usage: program COMMAND [FLAGS]\n"));
  EXPECT_THAT(text, HasSubstr("  --mode slow|fast          How it goes [default: slow]\n"));
  EXPECT_THAT(text, HasSubstr("  --share, --part X         A text"));
  EXPECT_THAT(text, HasSubstr("[default: 0.5]"));
  EXPECT_THAT(text, HasSubstr("  --loud                    Say more\n"));
  EXPECT_THAT(text, HasSubstr("  show                      Show one\n"));
  EXPECT_THAT(help_text(*helped.app.get_subcommand("show"), 100),
              HasSubstr("Usage: program show <name> [FLAGS]\n\n  <name>                    As"));
  EXPECT_THAT(help_text(*helped.app.get_subcommand("remove"), 100),
              HasSubstr("Usage: program remove <name>... [FLAGS]\n"));
}

TEST(HelpText, KeepsItsLinesWithinTheTerminalsColumns) {
  const Helped helped;
  std::istringstream text(help_text(helped.app, 48));
  for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 48U) << line;
}

}  // namespace
}  // namespace loadline
