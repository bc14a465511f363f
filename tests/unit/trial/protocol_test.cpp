#include "trial/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "trial/event_reader.h"

namespace loadline {
namespace {

void expect_refused(const std::string& line, const std::string& part) {
  try {
    decode_event(line);
    ADD_FAILURE() << line << " was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), testing::HasSubstr(part)) << line;
  }
}

TEST(Protocol, EachEventSurvivesTheWay) {
  const std::vector<WorkerEvent> events{
      Loaded{1.5, 100_MiB, 90_MiB, 500, 4096, 812},
      Stepped{{3, 2.25, 0.125, 4000, 110_MiB, 90_MiB}},
      Stepped{{4, 96.5, 0.125, 4000, 110_MiB, 90_MiB, 4.75}},
      Stepped{{5, 2.25, 0.125, 4000, 110_MiB, 90_MiB, std::nullopt, Reference{512, 0.5}}},
      Evaluated{2.5, 0.5, 120_MiB},
      Saved{121_MiB},
      Finished{122_MiB, 100_MiB, 20_MiB, "covers 100 % of batches"},
      Failed{Verdict::kOutOfMemory, "arena of 3 GiB was refused\nand \"more\""}};
  for (const WorkerEvent& event : events) {
    const std::string line = encode_event(event);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(encode_event(decode_event(line)), line);
    EXPECT_EQ(decode_event(line).index(), event.index());
  }
}

TEST(Protocol, ALossThatIsNotFiniteIsToldAsNull) {
  const double infinite = std::numeric_limits<double>::infinity();
  const std::string line = encode_event(Stepped{{1, infinite, 1, 1, 1_MiB, 1_MiB}});
  EXPECT_THAT(line, testing::HasSubstr("\"loss\":null"));
  EXPECT_TRUE(std::isnan(std::get<Stepped>(decode_event(line)).step.loss));
}

TEST(Protocol, AReferenceHasTokensAndSecondsOrIsNoneAtAll) {
  const std::string step = R"({"event":"step","step":1,"loss":2,"seconds":1,"tokens":9,)"
                           R"("peak_bytes":1)";
  EXPECT_FALSE(std::get<Stepped>(decode_event(step + "}")).step.reference);
  expect_refused(step + R"(,"reference_tokens":512})", "'reference_seconds' is missing");
  expect_refused(step + R"(,"reference_seconds":1})", "'reference_tokens' is missing");
  expect_refused(step + R"(,"reference_tokens":0,"reference_seconds":1})", "0 tokens in 1 s");
  expect_refused(step + R"(,"reference_tokens":512,"reference_seconds":0})", "512 tokens in 0 s");
}

TEST(Protocol, HostileLinesAreRefusedWithTheReason) {
  expect_refused("", "not valid JSON");
  expect_refused("[1]", "should be a JSON object");
  expect_refused("{}", "'event' is missing");
  expect_refused(R"({"event":"dance"})", "'dance' is unknown");
  expect_refused(R"({"event":"saved"})", "'peak_bytes' is missing");
  expect_refused(R"({"event":"saved","peak_bytes":-1})", "counts something");
  expect_refused(R"({"event":"saved","peak_bytes":1.5})", "integer");
  expect_refused(R"({"event":"saved","peak_bytes":9000000000000000000})", "more than any machine");
  expect_refused(R"({"event":"saved","peak_bytes":1,"peak_bytes":2})", "twice");
  expect_refused(R"({"event":"evaluated","loss":2,"seconds":-1,"peak_bytes":1})", "negative");
  expect_refused(R"({"event":"evaluated","loss":2,"seconds":1e300,"peak_bytes":1})", "longer than");
  expect_refused(R"({"event":"evaluated","loss":1e999,"seconds":1,"peak_bytes":1})", "");
  expect_refused(R"({"event":"evaluated","seconds":1,"peak_bytes":1})", "'loss' is missing");
  expect_refused(R"({"event":"failed","verdict":"fits","detail":""})", "cannot fail with");
  expect_refused(R"({"event":"failed","verdict":"great","detail":""})", "not a verdict");
  expect_refused(std::string(kLongestLine + 1, ' '), "65537 bytes");
  expect_refused(R"({"event":")" + std::string(3, '\xff') + "\"}", "not valid JSON");
}

class EventReaderTest : public testing::Test {
 protected:
  EventReader reader_{
      2, [this](const WorkerEvent&, std::string_view line) { lines_.emplace_back(line); }};
  std::vector<std::string> lines_;
};

TEST_F(EventReaderTest, PiecesOfLinesArePutTogether) {
  const std::string line = encode_event(Saved{1_MiB});
  reader_.take(line.substr(0, 5));
  EXPECT_TRUE(lines_.empty());
  reader_.take(line.substr(5) + "\n" + line + "\n" + line);
  EXPECT_EQ(lines_.size(), 2U);
  EXPECT_FALSE(reader_.broken());
  EXPECT_EQ(reader_.report().peak(), 1_MiB);
}

TEST_F(EventReaderTest, AnEndlessLineIsCutOff) {
  for (int i = 0; i < 100; ++i) reader_.take(std::string(1000, 'x'));
  EXPECT_TRUE(reader_.broken());
  EXPECT_THAT(reader_.report().violation, testing::HasSubstr("more than 65536 bytes"));
}

TEST_F(EventReaderTest, EndlessEventsAreCutOff) {
  const std::string line = encode_event(Saved{1_MiB}) + "\n";
  for (int i = 0; i < 1000; ++i) reader_.take(line);
  EXPECT_THAT(reader_.report().violation, testing::HasSubstr("more than 72 events"));
  EXPECT_EQ(lines_.size(), 72U);
}

// A worker that reports the first and the last would count as one that ran them all.
TEST_F(EventReaderTest, StepsAreCountedFromOneWithoutAGap) {
  const auto step = [](std::int64_t number) {
    return encode_event(Stepped{{number, 2, 1, 100, 1_MiB, 1_MiB}}) + "\n";
  };
  reader_.take(step(1) + step(2));
  EXPECT_FALSE(reader_.broken());
  reader_.take(step(4));
  EXPECT_THAT(reader_.report().violation, testing::HasSubstr("step 4 after step 2"));
  EXPECT_EQ(reader_.report().steps.size(), 2U);
  EventReader late(2, [](const WorkerEvent&, std::string_view) {});
  late.take(step(2));
  EXPECT_TRUE(late.broken());
}

TEST_F(EventReaderTest, NothingIsHeardAfterAViolation) {
  reader_.take("rubbish\n" + encode_event(Saved{1_MiB}) + "\n");
  EXPECT_TRUE(lines_.empty());
  EXPECT_FALSE(reader_.report().saved.has_value());
  EXPECT_THAT(reader_.report().violation, testing::HasSubstr("'rubbish'"));
}

}  // namespace
}  // namespace loadline
