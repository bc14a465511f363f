// .jsonl.gz and .jsonl.zst: the same lines as the plain file's, whatever their pieces; and what is
// damaged, cut or a bomb.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "text/byte_source.h"
#include "text/lines.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;

std::string gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd_compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// `pieces` MiB of newlines in one frame.
std::string newlines_compressed(int pieces) {
  const std::string piece(std::size_t{1} << 20, '\n');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::string out(std::size_t{8} << 20, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  for (int i = 1; i <= pieces; ++i) {
    ZSTD_inBuffer from{piece.data(), piece.size(), 0};
    const auto mode = i == pieces ? ZSTD_e_end : ZSTD_e_continue;
    while (from.pos < from.size || mode == ZSTD_e_end) {
      if (ZSTD_compressStream2(context, &to, &from, mode) == 0 && from.pos == from.size) break;
    }
  }
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

class CompressedLines : public ::testing::Test {
 protected:
  std::vector<std::string> lines_of(const std::string& content) {
    replace_file(path_, content);
    LineReader reader(path_);
    std::vector<std::string> lines;
    for (std::string_view line; reader.next(line);) lines.emplace_back(line);
    EXPECT_EQ(reader.content_hash(), ContentHash::of_file(path_));
    return lines;
  }
  std::string error_of(const std::string& content) {
    try {
      lines_of(content);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "d.jsonl";
};

// 3 MiB that do not compress to nothing, in lines of all lengths.
std::string long_text() {
  std::string text;
  std::uint64_t state = 1;
  while (text.size() < (std::size_t{3} << 20)) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    text += std::to_string(state);
    if (state >> 60 == 0) text += "\r\n\n";
  }
  return text + "\nlast";
}

TEST_F(CompressedLines, AreThoseOfThePlainFile) {
  for (const std::string& text :
       {std::string("a\nb\n"), std::string("\xEF\xBB\xBFone\r\n\r\ntwo"), long_text()}) {
    const std::vector<std::string> plain = lines_of(text);
    EXPECT_EQ(lines_of(gzipped(text)), plain);
    EXPECT_EQ(lines_of(zstd_compressed(text)), plain);
  }
  EXPECT_TRUE(lines_of(gzipped("")).empty());
  EXPECT_TRUE(lines_of(zstd_compressed("")).empty());
}

TEST_F(CompressedLines, GoOnInTheNextMemberOrFrame) {
  const std::vector<std::string> wanted{"one", "two", "three"};
  for (const auto compress : {gzipped, zstd_compressed}) {
    EXPECT_EQ(lines_of(compress("one\ntw") + compress("") + compress("o\nthree\n")), wanted);
  }
}

TEST_F(CompressedLines, MayBeginWithAFrameThatIsSkippedAsPzstdWritesThem) {
  const std::vector<std::string> wanted{"one", "two"};
  const std::string frame = zstd_compressed("one\ntwo\n");
  for (const char kind : {'\x50', '\x5f'}) {
    const std::string skipped =
        std::string(1, kind) + std::string("\x2a\x4d\x18\x04\0\0\0size", 11);
    EXPECT_EQ(lines_of(skipped + frame), wanted);
    EXPECT_THAT(error_of(skipped.substr(0, 9)), HasSubstr("Is it complete?"));
  }
  EXPECT_EQ(lines_of("P*M\n"), std::vector<std::string>{"P*M"});
}

TEST_F(CompressedLines, MayEndInZeros) {
  const std::vector<std::string> wanted{"one", "two"};
  const std::string file = gzipped("one\ntwo\n");
  for (const std::size_t zeros : {std::size_t{1}, std::size_t{512}, std::size_t{3} << 20}) {
    EXPECT_EQ(lines_of(file + std::string(zeros, '\0')), wanted);
  }
  EXPECT_THAT(error_of(file + std::string(9, '\0') + file),
              HasSubstr("the compressed data goes on behind the zeros"));
}

TEST_F(CompressedLines, OfACutFileAreAnErrorAndNotFewerRows) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "line " + std::to_string(i * i * 31) + "\n";
  for (const auto compress : {gzipped, zstd_compressed}) {
    const std::string whole = compress(text);
    for (std::size_t size = 4; size < whole.size(); size += size < 40 ? 1 : 37) {
      EXPECT_THAT(error_of(whole.substr(0, size)), HasSubstr("Is it complete?")) << size;
    }
  }
}

TEST_F(CompressedLines, OfADamagedFileAreAnError) {
  const std::string text = long_text();
  std::string gzip = gzipped(text);
  gzip[gzip.size() / 2] = static_cast<char>(gzip[gzip.size() / 2] ^ 0x10);
  EXPECT_THAT(error_of(gzip), HasSubstr("d.jsonl: the compressed data"));
  std::string zstd = zstd_compressed(text);
  zstd[4] = static_cast<char>(zstd[4] ^ 0x08);  // a reserved bit
  EXPECT_THAT(error_of(zstd), HasSubstr("d.jsonl: the compressed data"));
  EXPECT_THAT(error_of(gzipped("a\n") + "garbage"),
              HasSubstr("the compressed data cannot be decompressed (incorrect header check)"));
}

TEST_F(CompressedLines, AreBoundedInMemory) {
  EXPECT_THAT(error_of(gzipped(std::string(std::size_t{70} << 20, '\0'))),
              HasSubstr("a line of more than 64 MiB"));
  // A frame that asks for a window of 1 GiB.
  EXPECT_THAT(error_of(std::string("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", 9)),
              HasSubstr("too much memory"));
}

TEST_F(CompressedLines, OfABombAreRefused) {
  replace_file(path_, newlines_compressed(1100));
  const auto source = open_byte_source(path_);
  std::string piece;
  try {
    while (source->append_to(piece)) piece.clear();
    FAIL() << "all of it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("grew to more than 1.00 GiB"));
  }
}

}  // namespace
}  // namespace loadline
