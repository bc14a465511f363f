#include "base/partial_file.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/hash.h"

namespace loadline {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(PartialFile, KeepsWhatIsThereAndIsPutInItsPlace) {
  const TemporaryFolder folder;
  PartialFile(folder.path() / "a.part").append(bytes_of("one "));
  PartialFile again(folder.path() / "a.part");
  EXPECT_EQ(again.size(), 4U);
  again.append(bytes_of("two"));
  std::string read;
  again.read(
      [&](auto piece) { read.append(reinterpret_cast<const char*>(piece.data()), piece.size()); });
  EXPECT_EQ(read, "one two");
  again.move_to(folder.path() / "a");
  EXPECT_EQ(read_file(folder.path() / "a", 1_KiB), "one two");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.part"));
}

TEST(PartialFile, ClearedItBeginsAnew) {
  const TemporaryFolder folder;
  PartialFile file(folder.path() / "a");
  file.append(bytes_of("old"));
  file.clear();
  file.append(bytes_of("new"));
  EXPECT_EQ(file.size(), 3U);
  EXPECT_EQ(read_file(folder.path() / "a", 1_KiB), "new");
}

TEST(PartialFile, IsARegularFileInAFolderThatIsThere) {
  const TemporaryFolder folder;
  EXPECT_THROW(PartialFile(folder.path() / "missing/a"), Error);
  EXPECT_THROW(PartialFile(folder.path()), Error);
  EXPECT_THROW(PartialFile("/dev/full"), Error);
}

TEST(Digest, OfPiecesIsThatOfTheWhole) {
  Digest pieces(Digest::Kind::kSha256);
  for (const char* piece : {"a", "", "bc"}) pieces.add(std::string_view(piece));
  EXPECT_EQ(pieces.hex(), sha256_hex("abc"));
  Digest sha1(Digest::Kind::kSha1);
  sha1.add("abc");
  EXPECT_EQ(sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");  // FIPS 180-4's example
}

}  // namespace
}  // namespace loadline
