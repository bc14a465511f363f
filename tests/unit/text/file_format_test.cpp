// Files that are no JSON lines: what is said of them.
#include "text/file_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "text/packed.h"

namespace loadline {
namespace {

using std::string_view_literals::operator""sv;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What packing `content` says, "" where it is packed.
std::string refusal(std::string_view content, BadRows bad_rows = BadRows::kRefuse) {
  const TemporaryFolder folder;
  replace_file(folder.path() / "d.jsonl", content);
  try {
    pack_rows(folder.path() / "d.jsonl", RowReader(folder.path(), 10, {}), folder.path() / "p",
              nullptr, bad_rows);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(FileFormat, IsNamedByItsFirstBytesWithTheWayToJsonLines) {
  EXPECT_THAT(refusal("PAR1\x15\x04\x15\n\xff"sv),
              AllOf(HasSubstr("d.jsonl: this looks like Parquet"), HasSubstr("read_parquet")));
  EXPECT_THAT(refusal("PK\x03\x04\n\x14\x00"sv),
              AllOf(HasSubstr("this looks like a zip archive"), HasSubstr("unzip")));
  EXPECT_THAT(refusal("\xff\xfe{\0\"\0"sv),
              AllOf(HasSubstr("this looks like UTF-16"), HasSubstr("iconv -f UTF-16 -t UTF-8")));
  EXPECT_THAT(refusal("{\0\"\0t\0"sv), HasSubstr("iconv -f UTF-16LE -t UTF-8"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n"),
              HasSubstr("is a Git LFS pointer"));
  EXPECT_THAT(refusal("PAR1\n{\"input_ids\":[1,2]}", BadRows::kSkip), HasSubstr("Parquet"));
}

TEST(FileFormat, OfArchivesAndDataBasesIsNamedToo) {
  EXPECT_THAT(refusal("BZh91AY&SY\x12\x34\n"),
              AllOf(HasSubstr("this looks like bzip2"), HasSubstr("bzip2 -dc")));
  EXPECT_THAT(refusal("\xfd"
                      "7zXZ\0\n"sv),
              AllOf(HasSubstr("looks like xz"), HasSubstr("xz -dc")));
  EXPECT_THAT(refusal("ARROW1\0\0\n"sv),
              AllOf(HasSubstr("looks like Arrow"), HasSubstr("pandas.read_feather")));
  EXPECT_THAT(refusal("\xff\xff\xff\xff\x30\x01\0\0\n"sv),
              AllOf(HasSubstr("looks like Arrow"), HasSubstr("from_file")));
  EXPECT_THAT(refusal("SQLite format 3\0\n"sv),
              AllOf(HasSubstr("looks like SQLite"), HasSubstr("sqlite3")));
  std::string tar = "rows.jsonl" + std::string(90, '\0');
  tar += "0000644" + std::string(150, '\0') + "ustar  " + std::string(200, '\0') + "\n";
  EXPECT_THAT(refusal(tar), AllOf(HasSubstr("looks like a tar archive"), HasSubstr("tar -xf")));
  EXPECT_THAT(refusal(tar, BadRows::kSkip), HasSubstr("a tar archive"));
}

TEST(FileFormat, OfControlBytesIsNoPlainText) {
  EXPECT_THAT(refusal("\x80\x04\x95\x1a\n"), AllOf(HasSubstr("binary"), Not(HasSubstr("jq"))));
  EXPECT_THAT(refusal("MZ\x01\x02 and so on\n"),
              AllOf(HasSubstr("d.jsonl: this looks like binary data"), Not(HasSubstr("plain"))));
  EXPECT_THAT(refusal("Once\tupon a time\n"), Not(HasSubstr("binary")));
}

TEST(FileFormat, OfTablesIsToldBySemicolonsToo) {
  EXPECT_THAT(refusal("instruction;output\nhello;1, 2\n"),
              AllOf(HasSubstr("this looks like a table (CSV)"), HasSubstr("sep=\";\"")));
}

TEST(FileFormat, TheWayToJsonLinesCanBePastedForAnyName) {
  EXPECT_THAT(text_format_advice("a,b", "my rows.csv"), HasSubstr("lines=True)' 'my rows.csv'"));
  EXPECT_THAT(text_format_advice("[", "it's.json"), HasSubstr("jq -c '.[]' 'it'\\''s.json' >"));
  EXPECT_THAT(binary_format_advice("PAR1", "a b.parquet"), HasSubstr("lines=True)' 'a b.parquet'"));
}

TEST(FileFormat, IsNamedByItsFirstLineWithTheWayToJsonLines) {
  EXPECT_THAT(refusal("[\n{\"input_ids\":[1,2]},\n{\"input_ids\":[1,2]}\n]\n"),
              AllOf(HasSubstr("d.jsonl: this looks like a JSON list"), HasSubstr("jq -c '.[]'"),
                    Not(HasSubstr("d.jsonl:2"))));
  EXPECT_THAT(refusal("[{\"input_ids\":[1,2]}, {\"input_ids\":[1,2]}]"),
              HasSubstr("this looks like a JSON list"));
  EXPECT_THAT(refusal("{\n  \"input_ids\": [1, 2]\n}\n"),
              AllOf(HasSubstr("JSON that is spread over several lines"), HasSubstr("jq -c .")));
  EXPECT_THAT(refusal("{ \"data\": [\n{\"input_ids\":[1,2]}\n]}"), HasSubstr("several lines"));
  EXPECT_THAT(refusal("text,label\nhello,1\n"),
              AllOf(HasSubstr("this looks like a table (CSV)"), HasSubstr("pandas.read_csv")));
  EXPECT_THAT(refusal("\"text\"\t\"label\"\nhello\t1\n"), HasSubstr("sep=\"\\t\""));
  EXPECT_THAT(refusal("Once upon a time\n"), HasSubstr("this looks like plain text"));
}

TEST(FileFormat, OfAnotherKindIsRefusedThoughBadLinesAreSkippedWhereMostAreBad) {
  EXPECT_THAT(refusal("[\n{\"input_ids\":[1,2]},\n{\"input_ids\":[1,2]}\n]\n", BadRows::kSkip),
              HasSubstr("this looks like a JSON list"));
  EXPECT_EQ(refusal("comment, of one line\n{\"input_ids\":[1,2]}\n{\"input_ids\":[1,2]}\n",
                    BadRows::kSkip),
            "");
}

TEST(FileFormat, OfOneBadRowIsNoneAndTheLinesAreTold) {
  const std::string bad = refusal("{\"input_ids\":[1,2]},\n{\"input_ids\":[1,2]}\n");
  EXPECT_THAT(bad, AllOf(HasSubstr("d.jsonl:1: not valid JSON: a comma stands behind the row"),
                         HasSubstr("--skip-bad-rows"), Not(HasSubstr("looks like"))));
  EXPECT_THAT(refusal("{'text': 'a'}\n"), HasSubstr("strings stand in double quotes"));
  EXPECT_THAT(refusal("{\"text\": \"caf\xe9\"}\n"),
              AllOf(HasSubstr("not valid JSON: it is not UTF-8"), HasSubstr("iconv -f")));
}

}  // namespace
}  // namespace loadline
