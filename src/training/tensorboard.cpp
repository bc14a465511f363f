#include "training/tensorboard.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <vector>

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    table[byte] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

// Protobuf's wire types.
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}
void put_key(std::string& out, unsigned field, Wire wire) {
  put_varint(out, (field << 3) | static_cast<unsigned>(wire));
}
template <typename Integer>
void put_little_endian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
}
void put_double(std::string& out, unsigned field, double value) {
  put_key(out, field, Wire::kFixed64);
  put_little_endian(out, std::bit_cast<std::uint64_t>(value));
}
void put_float(std::string& out, unsigned field, float value) {
  put_key(out, field, Wire::kFixed32);
  put_little_endian(out, std::bit_cast<std::uint32_t>(value));
}
void put_integer(std::string& out, unsigned field, std::int64_t value) {
  put_key(out, field, Wire::kVarint);
  put_varint(out, static_cast<std::uint64_t>(value));
}
void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_key(out, field, Wire::kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Field numbers of tensorflow/core/util/event.proto and framework/summary.proto.
constexpr unsigned kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr unsigned kSummaryValue = 1, kTag = 1, kSimpleValue = 2;
constexpr unsigned kSessionStatus = 1;
constexpr std::int64_t kSessionStart = 1;

std::string event_at(std::int64_t step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string event;
  put_double(event, kWallTime, std::chrono::duration<double>(now).count());
  put_integer(event, kStep, step);
  return event;
}

void remove_events(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::path& file : event_files(folder)) fs::remove(file, ignored);
}

fs::path new_file(const fs::path& folder, std::int64_t last_step) {
  make_folder(folder / "tensorboard");
  if (last_step == 0) remove_events(folder);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  // In the order of their names: two within a second differ in their steps.
  return folder / "tensorboard" /
         fmt::format("events.out.tfevents.{:010}.loadline.{:09}", seconds, last_step);
}

}  // namespace

std::uint32_t crc32c(std::string_view data) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : data) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
  }
  return ~crc;
}

std::uint32_t masked_crc32c(std::string_view data) {
  const std::uint32_t crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder / "tensorboard", ignored), end; it != end;
       it.increment(ignored)) {
    if (it->path().filename().string().starts_with("events.out.tfevents.")) {
      files.push_back(it->path());
    }
  }
  return files;
}

void remove_event_files(const fs::path& folder) {
  remove_events(folder);
  std::error_code ignored;
  fs::remove(folder / "tensorboard", ignored);  // unless there is more in it
}

TensorBoard::TensorBoard(const fs::path& folder, std::int64_t last_step)
    : file_(new_file(folder, last_step), DataFile::Content::kDropped) {
  std::string version = event_at(0);
  put_bytes(version, kFileVersion, "brain.Event:2");
  write_record(version);
  if (last_step == 0) return;
  std::string status;
  put_integer(status, kSessionStatus, kSessionStart);
  std::string start = event_at(last_step + 1);
  put_bytes(start, kSessionLog, status);
  write_record(start);
}

void TensorBoard::add(const StepReport& report) {
  const double rate = report.seconds > 0 ? static_cast<double>(report.tokens) / report.seconds : 0;
  write_scalars(report.step,
                std::array<Scalar, 7>{{{"loss/train", report.loss},
                                       {"loss/cross_entropy", report.cross_entropy},
                                       {"loss/distrust", report.distrust},
                                       {"learning_rate", report.learning_rate},
                                       {"grad_norm", report.grad_norm},
                                       {"tokens_per_second", rate},
                                       {"memory/peak", static_cast<double>(report.peak.count)}}});
}

void TensorBoard::add(const EvaluationReport& report) {
  if (report.targets == 0) return;
  const bool test = report.rows == EvaluationReport::Rows::kTest;
  write_scalars(report.step,
                std::array<Scalar, 2>{{{test ? "loss/test" : "loss/valid", report.valid_loss},
                                       {test ? "perplexity/test" : "perplexity/valid",
                                        std::exp(report.valid_loss)}}});
}

void TensorBoard::write_scalars(std::int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    put_bytes(value, kTag, scalar.tag);
    put_float(value, kSimpleValue, static_cast<float>(scalar.value));
    put_bytes(summary, kSummaryValue, value);
  }
  std::string event = event_at(step);
  put_bytes(event, kSummary, summary);
  write_record(event);
}

// One write() for the whole record, so that a crash tears at most the last one.
void TensorBoard::write_record(std::string_view event) {
  std::string record;
  put_little_endian(record, static_cast<std::uint64_t>(event.size()));
  put_little_endian(record, masked_crc32c(record));
  record += event;
  put_little_endian(record, masked_crc32c(event));
  file_.write_at(end_, std::as_bytes(std::span(record)));
  end_ += record.size();
}

}  // namespace loadline
