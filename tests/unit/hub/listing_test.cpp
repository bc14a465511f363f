#include "hub/listing.h"

#include "base/json.h"
#include "hub/url.h"
#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kListedCommit(40, 'c');
const HubModel kListedModel{.repository = "org/name"};

std::string listing_of(const std::vector<std::string>& files) {
  Json document{{"sha", kListedCommit}, {"siblings", Json::array()}};
  for (const std::string& file : files) document["siblings"].push_back({{"rfilename", file}});
  return document.dump();
}

std::string refused(const std::string& text) {
  return message_of(ErrorKind::kBadInput, [&] { (void)parse_hub_listing(text, "listing"); });
}

TEST(HubListing, HasCommitFilesSizesAndHashes) {
  const HubListing listing =
      parse_hub_listing(R"({"sha":")" + kListedCommit +
                            R"(","siblings":[{"rfilename":"a/b.json","size":7,"blobId":")" +
                            std::string(40, '1') + R"("},{"rfilename":"w","lfs":{"sha256":")" +
                            std::string(64, '2') + R"("}},{"rfilename":"bare","size":null}]})",
                        "listing");
  EXPECT_EQ(listing.commit, kListedCommit);
  EXPECT_EQ(listing.files.at("a/b.json").size, 7U);
  EXPECT_EQ(listing.files.at("a/b.json").git_object, std::string(40, '1'));
  EXPECT_EQ(listing.files.at("w").sha256, std::string(64, '2'));
  EXPECT_EQ(listing.files.at("bare").size, std::nullopt);
}

TEST(HubListing, PathsThatLeadOutOfTheFolderAreRefused) {
  for (const std::string path : {"../../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a/", "..",
                                 "", "a\\..\\b", "a\nb", "a\x7f"}) {
    EXPECT_THAT(refused(listing_of({"config.json", path})), HasSubstr("could lead out"));
  }
  EXPECT_THAT(refused(listing_of({std::string(1025, 'a')})), HasSubstr("could lead out"));
}

TEST(HubListing, WhatIsMalformedIsNamed) {
  EXPECT_THAT(refused("<html>"), HasSubstr("listing: not valid JSON"));
  EXPECT_THAT(refused(R"({"siblings":[]})"), HasSubstr("'sha' is missing"));
  EXPECT_THAT(refused(R"({"sha":"../../x","siblings":[]})"), HasSubstr("should be a commit"));
  const std::string head = R"({"sha":")" + kListedCommit + "\"";
  EXPECT_THAT(refused(head + "}"), HasSubstr("'siblings'"));
  EXPECT_THAT(refused(head + R"(,"siblings":[7]})"), HasSubstr("rfilename"));
  EXPECT_THAT(refused(head + R"(,"siblings":[{"rfilename":"a","size":-1}]})"), HasSubstr("size"));
  EXPECT_THAT(refused(head + R"(,"siblings":[{"rfilename":"a","lfs":{"sha256":"x"}}]})"),
              HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(refused(listing_of({"a", "a"})), HasSubstr("twice"));
  EXPECT_THAT(refused(std::string(100, '[')), HasSubstr("deeper"));
}

TEST(HubListing, OnlyWhatIsNeededIsFetched) {
  const HubListing listing = parse_hub_listing(
      listing_of({"README.md", "config.json", "consolidated.safetensors", "model.safetensors",
                  "onnx/model.onnx", "pytorch_model.bin", "tokenizer.json", "tokenizer.model"}),
      "listing");
  EXPECT_THAT(files_to_fetch(listing, ModelParts::kAll, kListedModel),
              ElementsAre("config.json", "tokenizer.json", "model.safetensors"));
  EXPECT_THAT(files_to_fetch(listing, ModelParts::kText, kListedModel),
              ElementsAre("config.json", "tokenizer.json"));
}

TEST(HubListing, AModelWithoutSafetensorsSaysWhatItHas) {
  const auto message = [](const std::vector<std::string>& files) {
    const HubListing listing = parse_hub_listing(listing_of(files), "listing");
    return message_of(ErrorKind::kBadInput,
                      [&] { (void)files_to_fetch(listing, ModelParts::kAll, kListedModel); });
  };
  EXPECT_THAT(message({"config.json", "a.bin", "b.gguf"}), HasSubstr("*.bin, *.gguf"));
  EXPECT_THAT(message({"a.gguf"}), HasSubstr("no config.json"));
}

TEST(HubEtag, IsAPlainFileName) {
  EXPECT_TRUE(is_plain_etag("0ab-c_d.e"));
  for (const std::string etag : {"", "../x", "a/b", ".x", "x.incomplete", "a b", "\"x\"", "a\n"}) {
    EXPECT_FALSE(is_plain_etag(etag)) << etag;
  }
}

TEST(HubUrl, OriginsAreComparedWithPortAndWithoutUser) {
  EXPECT_EQ(origin_of("https://HuggingFace.co/x"), origin_of("https://huggingface.co:443/y"));
  EXPECT_NE(origin_of("https://huggingface.co"), origin_of("http://huggingface.co"));
  EXPECT_NE(origin_of("http://127.0.0.1:1"), origin_of("http://127.0.0.1:2"));
  EXPECT_EQ(origin_of("https://huggingface.co@evil.example/x"), "https://evil.example:443");
  EXPECT_EQ(origin_of("https://huggingface.co.evil.example"),
            "https://huggingface.co.evil.example:443");
  EXPECT_EQ(origin_of("file:///etc/passwd"), std::nullopt);
  EXPECT_EQ(origin_of("no url"), std::nullopt);
}

TEST(HubUrl, RedirectsStayOnTheWebAndEncrypted) {
  EXPECT_EQ(redirect_target("https://h/a/b", "/c"), "https://h/c");
  EXPECT_EQ(redirect_target("https://h/a/b", "https://x/y?z=1"), "https://x/y?z=1");
  EXPECT_EQ(redirect_target("http://h/a", "https://h/a"), "https://h/a");
  for (const std::string location : {"", "http://h/a", "file:///etc/passwd", "ftp://h/x"}) {
    EXPECT_EQ(redirect_target("https://h/a", location), std::nullopt) << location;
  }
  EXPECT_EQ(percent_encoded("refs/pr/1 ü"), "refs%2Fpr%2F1%20%C3%BC");
}

}  // namespace
}  // namespace loadline
