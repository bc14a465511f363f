#include "model/prepared_weights.h"

#include <array>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/frozen_weights.h"

namespace loadline {
namespace {

constexpr std::string_view kMagic = "loadline prepared weights 1\n";
constexpr std::size_t kHeader = 4096;  // then the buffers, end to end
constexpr std::size_t kPiece = std::size_t{16} << 20;
// Killed trials may leave a copy each, of GiB. A writer that is only slow loses nothing but its
// file, which is made again.
constexpr std::chrono::minutes kAbandoned{10};

std::vector<BufferId> weights_of(const MemoryPlan& plan) {
  std::vector<BufferId> ids;
  for (std::size_t i = 0; i < plan.buffers().size(); ++i) {
    if (plan.buffers()[i].phase == "weights") ids.emplace_back(i);
  }
  return ids;
}

// What the first 4096 bytes say before anything of the payload is known: magic, key and the
// payload's size, a line each.
std::string begin_of_header(const std::string& key, Bytes payload) {
  return fmt::format("{}{}\n{}\n", kMagic, key, payload.count);
}

// All of them: then a line with the checksum, and zeros.
std::string header_of(const std::string& key, Bytes payload, std::uint64_t checksum) {
  std::string header = begin_of_header(key, payload) + fmt::format("{:016x}\n", checksum);
  header.resize(kHeader, '\0');
  return header;
}

Bytes payload_of(const MemoryPlan& plan, const std::vector<BufferId>& ids) {
  Bytes sum;
  for (const BufferId id : ids) sum += plan.buffer(id).bytes;
  return sum;
}

std::uint64_t joined(std::uint64_t sum, std::uint64_t next) {
  return (sum ^ next) * 0x9e3779b97f4a7c15U;
}

// In pieces, so that what was read is summed while it is in the cache.
template <typename Visit>
void for_pieces(std::span<std::byte> bytes, Visit visit) {
  for (std::size_t done = 0; done < bytes.size(); done += kPiece) {
    visit(done, bytes.subspan(done, std::min(kPiece, bytes.size() - done)));
  }
}

// Reads the weights of a file that was made for the key, and says whether it is whole.
bool content_matches(const std::filesystem::path& path, const std::string& key,
                     const MemoryPlan& plan, const Workspace& memory) {
  const std::vector<BufferId> ids = weights_of(plan);
  std::string header(kHeader, '\0');
  read_at(path, 0, std::as_writable_bytes(std::span(header)));
  const Bytes payload = payload_of(plan, ids);
  if (!header.starts_with(begin_of_header(key, payload))) return false;
  std::uint64_t sum = 0;
  std::uint64_t at = kHeader;
  for (const BufferId id : ids) {
    for_pieces(memory.bytes(id), [&](std::size_t done, std::span<std::byte> piece) {
      read_at(path, at + done, piece);
      sum = joined(sum, checksum64(piece));
    });
    at += plan.buffer(id).bytes.count;
  }
  return header == header_of(key, payload, sum);
}

}  // namespace

std::string prepared_key(const std::string& weights, const StepShape& shape) {
  return fmt::format("{} {} {}", weights, name_of(shape.quantize), name_of(shape.compute));
}

std::filesystem::path prepared_file(const std::filesystem::path& folder, const std::string& key) {
  return folder / (sha256_hex(key).substr(0, 16) + ".weights");
}

bool read_prepared(const std::filesystem::path& path, const std::string& key, const StepPlan& plan,
                   const Workspace& memory) {
  const Bytes payload = payload_of(plan.memory, weights_of(plan.memory));
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size != kHeader + payload.count) return false;
  try {
    return content_matches(path, key, plan.memory, memory);
  } catch (const Error&) {  // no permission, or a disk that fails: the weights are made anew
    return false;
  }
}

void load_prepared_weights(const WeightFiles& files, const std::filesystem::path& prepared,
                           const ModelConfig& model, const StepShape& shape, const StepPlan& plan,
                           const Workspace& memory) {
  remove_unfinished(prepared.parent_path(), kAbandoned);
  const std::string key = prepared_key(files.cache_key(), shape);
  if (read_prepared(prepared, key, plan, memory)) return;
  load_frozen_weights(files, model, plan, memory);
  try {
    write_prepared(prepared, key, plan, memory);
  } catch (const Error&) {  // a full or read-only disk: the next run quantizes again
  }
}

void write_prepared(const std::filesystem::path& path, const std::string& key, const StepPlan& plan,
                    const Workspace& memory) {
  const std::vector<BufferId> ids = weights_of(plan.memory);
  make_folder(path.parent_path());
  ReplacementFile file(path);
  file.write(std::string(kHeader, '\0'));
  std::uint64_t sum = 0;
  for (const BufferId id : ids) {
    for_pieces(memory.bytes(id), [&](std::size_t /*done*/, std::span<std::byte> piece) {
      file.write(piece);
      sum = joined(sum, checksum64(piece));
    });
  }
  const std::string header = header_of(key, payload_of(plan.memory, ids), sum);
  file.write_at(0, std::as_bytes(std::span(header)));
  file.commit();
}

}  // namespace loadline
