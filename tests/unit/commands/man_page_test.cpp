#include "commands/man_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <sstream>
#include <string>

#include "cli/flags.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Paged {
  CLI::App app{"What it is for", "program"};
  std::string mode = "slow", name;
  Paged() {
    Flags flags(app);
    Flags below = flags.command("show", ".Begins as no line may: a\\b");
    below.value("--mode slow|fast", mode, "How it goes");
    below.word("name", name, "As listed");
    flags.command("worker", "");
    app.get_subcommand("worker")->group("");
  }
  [[nodiscard]] std::string page() const { return man_page(app, "1.2"); }
};

TEST(ManPage, HasEachCommandWithItsWordsAndFlags) {
  const std::string page = Paged().page();
  EXPECT_THAT(page, HasSubstr(".TH LOADLINE 1 \"\" \"loadline 1.2\""));
  EXPECT_THAT(page, HasSubstr(".SS program show\n"));
  EXPECT_THAT(page, HasSubstr("\\fBprogram show <name> [FLAGS]\\fR\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-\\-mode slow|fast\\fR\nHow it goes [default: slow]\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB<name>\\fR\nAs listed\n"));
}

TEST(ManPage, LeavesOutWhatHelpLeavesOut) { EXPECT_THAT(Paged().page(), Not(HasSubstr("worker"))); }

TEST(ManPage, OfATextNoLineBecomesARequest) {
  EXPECT_THAT(Paged().page(), HasSubstr("\n\\&.Begins as no line may: a\\eb\n"));
}

}  // namespace
}  // namespace loadline
