// TensorBoard's files, read by a reader that shares nothing with the writer: bit by bit checksums,
// a protobuf walk that knows wire types only.
#include "training/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <map>

#include "training_fixture.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

// The remainder of the reflected polynomial division, a bit at a time.
std::uint32_t slow_crc32c(std::string_view data) {
  std::uint32_t crc = ~0U;
  for (const char c : data) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool in = ((static_cast<unsigned char>(c) >> bit) & 1) != 0;
      const bool out = (crc & 1U) != 0;
      crc >>= 1;
      if (in != out) crc ^= 0x82f63b78U;
    }
  }
  return ~crc;
}

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  if (at + sizeof value > bytes.size()) throw std::runtime_error("a record is torn");
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct Field {
  unsigned number = 0;
  std::uint64_t value = 0;  // varint, or the bits of a fixed one
  std::string bytes;
};

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
  };
  while (at < message.size()) {
    const std::uint64_t key = varint();
    Field field{.number = static_cast<unsigned>(key >> 3), .value = 0, .bytes = {}};
    if ((key & 7) == 0) field.value = varint();
    if ((key & 7) == 1) field.value = number_at<std::uint64_t>(message, at), at += 8;
    if ((key & 7) == 5) field.value = number_at<std::uint32_t>(message, at), at += 4;
    if ((key & 7) == 2) {
      const std::size_t size = varint();
      field.bytes = message.substr(at, size);
      at += size;
    }
    fields.push_back(field);
  }
  return fields;
}

struct Event {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string version;
  bool starts_session = false;
  std::map<std::string, float> scalars;
};

Event event_of(std::string_view data) {
  Event event;
  for (const Field& field : fields_of(data)) {
    if (field.number == 1) event.wall_time = std::bit_cast<double>(field.value);
    if (field.number == 2) event.step = static_cast<std::int64_t>(field.value);
    if (field.number == 3) event.version = field.bytes;
    if (field.number == 7) event.starts_session = fields_of(field.bytes).at(0).value == 1;
    if (field.number != 5) continue;
    for (const Field& value : fields_of(field.bytes)) {
      const std::vector<Field> parts = fields_of(value.bytes);
      event.scalars[parts.at(0).bytes] =
          std::bit_cast<float>(static_cast<std::uint32_t>(parts.at(1).value));
    }
  }
  return event;
}

std::vector<Event> events_of(const fs::path& file) {
  const std::string all = content(file);
  const auto unmasked = [&](std::size_t at) {
    const std::uint32_t rotated = number_at<std::uint32_t>(all, at) - 0xa282ead8U;
    return (rotated >> 17) | (rotated << 15);
  };
  std::vector<Event> events;
  for (std::size_t at = 0; at < all.size();) {
    const auto size = number_at<std::uint64_t>(all, at);
    const std::string_view data = std::string_view(all).substr(at + 12, size);
    EXPECT_EQ(unmasked(at + 8), slow_crc32c(std::string_view(all).substr(at, 8)));
    EXPECT_EQ(unmasked(at + 12 + size), slow_crc32c(data));
    events.push_back(event_of(data));
    at += 16 + size;
  }
  return events;
}

std::vector<fs::path> event_files(const fs::path& adapter) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(adapter / "tensorboard")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Events : public TrainingRun {
 protected:
  TrainingSettings with_validation(const std::string& name) {
    TrainingSettings s = settings(name);
    s.valid_rows = pack("valid.packed", made_up_rows(3, 99));
    s.steps_per_eval = 2;
    return s;
  }
};

TEST_F(Events, ChecksumsAreCastagnolis) {
  EXPECT_EQ(slow_crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);  // RFC 3720, B.4
}

TEST_F(Events, SayWhatMetricsSay) {
  const TrainingSettings s = with_validation("run");
  const Recorder seen = run(s);
  const std::vector<fs::path> files = event_files(s.adapter_path);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_NE(files[0].string().find("tfevents"), std::string::npos);
  const std::vector<Event> events = events_of(files[0]);
  ASSERT_EQ(events.size(), 1U + 3 + 3);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_GT(events[0].wall_time, 1.6e9);
  std::vector<std::string> tags;
  for (const auto& scalar : events[2].scalars) tags.push_back(scalar.first);
  EXPECT_THAT(
      tags, UnorderedElementsAre("loss/train", "loss/cross_entropy", "loss/distrust",
                                 "learning_rate", "grad_norm", "tokens_per_second", "memory/peak"));
  EXPECT_EQ(events[1].step, 0);
  EXPECT_EQ(events[1].scalars.at("loss/valid"), static_cast<float>(seen.evaluations[0].valid_loss));
  EXPECT_EQ(events[2].step, 1);
  EXPECT_EQ(events[2].scalars.at("loss/train"), static_cast<float>(seen.steps[0].loss));
  EXPECT_EQ(events[3].scalars.at("grad_norm"), static_cast<float>(seen.steps[1].grad_norm));
  EXPECT_EQ(events[3].scalars.at("memory/peak"), 1048576.0F);
  EXPECT_EQ(events[4].scalars.at("loss/valid"), static_cast<float>(seen.evaluations[1].valid_loss));
}

TEST_F(Events, AResumedRunTellsTensorBoardWhatToDropAndANewOneBeginsAnew) {
  TrainingSettings s = with_validation("resumed");
  s.max_steps = 6;
  run(s, 3);
  s.resume = true;
  run(s);
  std::vector<fs::path> files = event_files(s.adapter_path);
  ASSERT_EQ(files.size(), 2U);
  const std::vector<Event> events = events_of(files[1]);
  EXPECT_TRUE(events[1].starts_session);
  EXPECT_EQ(events[1].step, 4) << "TensorBoard drops what stands at this step and later";
  EXPECT_EQ(events[2].step, 4);
  s.resume = false;
  run(s);
  EXPECT_EQ(event_files(s.adapter_path).size(), 1U);
}

}  // namespace
}  // namespace loadline
