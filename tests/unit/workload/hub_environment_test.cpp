#include "workload/hub_environment.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "unit/checkpoint/hostile_files.h"
#include "unit/environment.h"

namespace loadline {
namespace {

class HubVariables : public ::testing::Test {
 protected:
  HubVariables() {
    for (const char* name :
         {"HF_ENDPOINT", "HF_HOME", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DOWNLOAD_TIMEOUT",
          "HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "REQUESTS_CA_BUNDLE",
          "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
      environment_.unset(name);
    }
    environment_.set("HF_HOME", folder_.path().string());
  }

  Environment environment_;
  TemporaryFolder folder_;
};

TEST_F(HubVariables, ATokenThatIsGivenComesBeforeItsFileWhichMayBeSwitchedOff) {
  replace_file(folder_.path() / "token", "of-home\n");
  EXPECT_EQ(read_hub_access().token, "of-home");
  replace_file(folder_.path() / "other", " of-path ");
  environment_.set("HF_TOKEN_PATH", (folder_.path() / "other").string());
  EXPECT_EQ(read_hub_access().token, "of-path");
  environment_.set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  EXPECT_EQ(read_hub_access().token, "");
  environment_.set("HF_TOKEN", "given");
  EXPECT_EQ(read_hub_access().token, "given");
}

TEST_F(HubVariables, OfCertificatesTheFirstOfThreeIsTaken) {
  EXPECT_EQ(read_hub_access().ca_file, "");
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}) {
    environment_.set(name, std::string("/of/") + name);
    EXPECT_EQ(read_hub_access().ca_file, std::string("/of/") + name);
  }
}

TEST_F(HubVariables, ATimeoutIsAPositiveTime) {
  const auto seconds = [&](const char* text) {
    environment_.set("HF_HUB_DOWNLOAD_TIMEOUT", text);
    return read_hub_access().timeout.count();
  };
  EXPECT_EQ(read_hub_access().timeout.count(), 10);
  EXPECT_EQ(seconds("30"), 30);
  EXPECT_EQ(seconds("2m"), 120);
  EXPECT_EQ(seconds("0.5"), 1);
  EXPECT_EQ(seconds("2.0"), 2);
  for (const char* text : {"0", "-1", "-0.5", "nan", "inf", "1e300", "soon", "1,5"}) {
    EXPECT_THAT(message_of(ErrorKind::kUsage, [&] { (void)seconds(text); }),
                ::testing::HasSubstr("HF_HUB_DOWNLOAD_TIMEOUT"))
        << text;
  }
}

}  // namespace
}  // namespace loadline
