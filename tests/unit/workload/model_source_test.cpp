#include "workload/model_source.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "hub/loopback_hub.h"
#include "unit/checkpoint/hostile_files.h"
#include "unit/environment.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LoopbackHub;
using ::testing::Not;

constexpr const char* kWithTemplate = R"({"eos_token":"</s>","chat_template":"{{ messages }}"})";
constexpr const char* kWithout = R"({"eos_token":"</s>"})";

// org/name in a cache, without its weights, and a Hub that cannot be reached.
class ModelSource : public ::testing::Test {
 protected:
  ModelSource() {
    for (const char* name :
         {"HF_HOME", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN",
          "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
          "HF_HUB_DOWNLOAD_TIMEOUT", "http_proxy", "https_proxy", "all_proxy"}) {
      environment_.unset(name);
    }
    environment_.set("HF_HUB_CACHE", folder_.path().string());
    environment_.set("HOME", (folder_.path() / "home").string());
    environment_.set("HF_ENDPOINT", "http://127.0.0.1:1");
    put("refs/main", LoopbackHub::kCommit);
    put_snapshot("config.json", "{}");
    put_snapshot("tokenizer.json", "{}");
  }
  void put(const fs::path& file, const std::string& content) const {
    make_folder((model_ / file).parent_path());
    replace_file(model_ / file, content);
  }
  void put_snapshot(const std::string& file, const std::string& content) const {
    put(fs::path("snapshots") / LoopbackHub::kCommit / file, content);
  }
  // What is said on stderr when the model is found.
  std::string said() {
    ::testing::internal::CaptureStderr();
    fs::path found;
    EXPECT_NO_THROW(found = resolve_model("org/name", ModelParts::kText));
    EXPECT_EQ(found, snapshot_);
    return ::testing::internal::GetCapturedStderr();
  }

  Environment environment_;
  TemporaryFolder folder_;
  fs::path model_ = folder_.path() / "models--org--name";
  fs::path snapshot_ = model_ / "snapshots" / LoopbackHub::kCommit;
};

TEST_F(ModelSource, WhatOnlyADownloadNeedsDoesNotStopAModelThatTheCacheHas) {
  put_snapshot("tokenizer_config.json", kWithTemplate);
  environment_.set("HF_TOKEN", "two words");
  EXPECT_THAT(said(), IsEmpty());
  environment_.unset("HF_TOKEN");
  environment_.set("HF_TOKEN_PATH", folder_.path().string());
  EXPECT_THAT(said(), IsEmpty());
  environment_.set("HF_HUB_DOWNLOAD_TIMEOUT", "soon");
  EXPECT_THAT(said(), IsEmpty());
  environment_.set("HF_HUB_OFFLINE", "1");
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(ModelSource, ABadTokenStopsADownload) {
  environment_.set("HF_TOKEN", "two words");
  EXPECT_THAT(
      message_of(ErrorKind::kUsage, [] { (void)resolve_model("org/other", ModelParts::kText); }),
      HasSubstr("HF_TOKEN: holds no token"));
}

TEST_F(ModelSource, ACacheThatIsNamedNeedsNoHome) {
  put_snapshot("tokenizer_config.json", kWithTemplate);
  environment_.unset("HOME");
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_THAT(message_of(ErrorKind::kEnvironment,
                         [] { (void)resolve_model("org/other", ModelParts::kText); }),
              HasSubstr("cannot be reached"));
}

TEST_F(ModelSource, WithoutAHomeAndANamedCacheTheVariablesAreNamed) {
  environment_.unset("HOME");
  environment_.unset("HF_HUB_CACHE");
  EXPECT_THAT(message_of(ErrorKind::kEnvironment,
                         [] { (void)resolve_model("org/name", ModelParts::kText); }),
              AllOf(HasSubstr("HF_HUB_CACHE"), HasSubstr("HF_HOME"), HasSubstr("HOME is set")));
}

TEST_F(ModelSource, ATimeoutMayBeAFractionOfASecond) {
  environment_.set("HF_HUB_DOWNLOAD_TIMEOUT", "0.5");
  EXPECT_THAT(message_of(ErrorKind::kEnvironment,
                         [] { (void)resolve_model("org/other", ModelParts::kText); }),
              HasSubstr("cannot be reached"));
}

TEST_F(ModelSource, AGuessedChatTemplateIsToldWhereTheHubCannotBeAsked) {
  put_snapshot("tokenizer_config.json", kWithout);
  const auto guess = AllOf(HasSubstr("no chat template"), HasSubstr("ChatML"));
  EXPECT_THAT(said(), AllOf(guess, HasSubstr("cannot be reached")));
  environment_.set("HF_TOKEN", "two words");
  EXPECT_THAT(said(), AllOf(guess, HasSubstr("HF_TOKEN")));
  environment_.set("HF_HUB_OFFLINE", "1");
  EXPECT_THAT(said(), guess);
  put(fs::path(".no_exist") / LoopbackHub::kCommit / "chat_template.jinja", "");
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(ModelSource, AChatTemplateThatTheCacheLacksIsFetchedOfTheCachesOwnCommit) {
  put_snapshot("tokenizer_config.json", kWithout);
  LoopbackHub hub;
  hub.put("config.json", "{}");
  hub.put("chat_template.jinja", "{{ messages }}");
  environment_.set("HF_ENDPOINT", hub.url());
  (void)said();
  EXPECT_EQ(read_file(snapshot_ / "chat_template.jinja", 1_KiB), "{{ messages }}");
  EXPECT_THAT(hub.asked_for("/revision/main"), IsEmpty()) << "only a pull may change the model";
  EXPECT_THAT(hub.asked_for(std::string("/revision/") + LoopbackHub::kCommit), Not(IsEmpty()));
  const std::size_t asked = hub.hub_requests().size();
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_EQ(hub.hub_requests().size(), asked) << "what the Hub does not have is remembered";
}

TEST_F(ModelSource, WeightsThatTheCacheLacksAreFetchedOfTheCachesOwnCommit) {
  put_snapshot("tokenizer_config.json", kWithTemplate);
  LoopbackHub hub;
  hub.put("config.json", "{}");
  hub.put("model.safetensors", "weights", true);
  environment_.set("HF_ENDPOINT", hub.url());
  EXPECT_EQ(resolve_model("org/name", ModelParts::kAll), snapshot_);
  EXPECT_EQ(read_file(snapshot_ / "model.safetensors", 1_KiB), "weights");
  EXPECT_THAT(hub.asked_for("/revision/main"), IsEmpty()) << "only a pull may change the model";
  EXPECT_THAT(hub.asked_for(std::string("/revision/") + LoopbackHub::kCommit), Not(IsEmpty()));
}

TEST_F(ModelSource, ACommitThatTheHubHasNoMoreIsRefusedWithTheWayToTodays) {
  LoopbackHub hub;
  hub.hub_fault([](const testing::Request&, testing::Reply& reply) {
    reply = {.status = 404, .headers = {{"X-Error-Code", "RevisionNotFound"}}, .body = ""};
  });
  environment_.set("HF_ENDPOINT", hub.url());
  const auto refusal = [](const std::string& model) {
    return message_of(ErrorKind::kBadInput, [&] { (void)resolve_model(model, ModelParts::kAll); });
  };
  EXPECT_THAT(refusal("org/name"),
              AllOf(HasSubstr(std::string("no revision '") + LoopbackHub::kCommit),
                    HasSubstr("`loadline pull org/name`")));
  EXPECT_THAT(refusal(std::string("org/name@") + LoopbackHub::kCommit), Not(HasSubstr("pull")))
      << "a commit that was asked for is no other one today";
}

TEST_F(ModelSource, ANameIsTheHubsUnlessAFolderHasIt) {
  ASSERT_TRUE(named_on_hub("org/name@v1"));
  EXPECT_EQ(named_on_hub("org/name@v1")->text(), "org/name@v1");
  EXPECT_FALSE(named_on_hub(snapshot_.string()));
  EXPECT_FALSE(named_on_hub("name"));
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  make_folder("org/name");
  EXPECT_FALSE(named_on_hub("org/name"));
  fs::current_path(before);
}

TEST_F(ModelSource, WhatTheCacheHasIsFoundWithoutAskingTheHub) {
  EXPECT_EQ(cached_snapshot({.repository = "org/name"}), snapshot_);
  EXPECT_EQ(cached_snapshot({.repository = "org/name", .revision = LoopbackHub::kCommit}),
            snapshot_);
  EXPECT_FALSE(cached_snapshot({.repository = "org/other"}));
  EXPECT_FALSE(cached_snapshot({.repository = "org/name", .revision = std::string(40, 'e')}));
}

TEST_F(ModelSource, ARevisionThatTheCacheLacksIsNamedWithThoseThatItHas) {
  const auto refusal = [](ErrorKind kind, const std::string& model) {
    return message_of(kind, [&] { (void)resolve_model(model, ModelParts::kText); });
  };
  EXPECT_THAT(refusal(ErrorKind::kEnvironment, "org/name@v2"),
              AllOf(HasSubstr("cannot be reached"),
                    HasSubstr("has not this revision of org/name: it has main")));
  EXPECT_THAT(refusal(ErrorKind::kEnvironment, "org/other@v2"), Not(HasSubstr("it has")));
  environment_.set("HF_HUB_OFFLINE", "1");
  for (const std::string& revision : {std::string("v2"), std::string(40, '7')}) {
    EXPECT_THAT(refusal(ErrorKind::kBadInput, "org/name@" + revision),
                AllOf(HasSubstr("has this model, but not its revision '" + revision +
                                "': it has "
                                "main. "),
                      HasSubstr("loadline pull org/name@" + revision)));
  }
  EXPECT_THAT(refusal(ErrorKind::kBadInput, "org/other@v2"), HasSubstr("does not have this model"));
}

// The tests' snapshot has no weights.
TEST_F(ModelSource, ARevisionThatIsNotWholeIsNamedToNobody) {
  const auto refusal = [](ErrorKind kind, const std::string& model) {
    return message_of(kind, [&] { (void)resolve_model(model, ModelParts::kAll); });
  };
  EXPECT_THAT(refusal(ErrorKind::kEnvironment, "org/name"),
              AllOf(HasSubstr("cannot be reached"), Not(HasSubstr("it has"))));
  EXPECT_THAT(refusal(ErrorKind::kEnvironment, "org/name@v2"), Not(HasSubstr("it has")));
  put("refs/damaged", std::string(100'000, 'x'));
  EXPECT_THAT(refusal(ErrorKind::kEnvironment, "org/name@v2"), HasSubstr("cannot be reached"));
}

TEST_F(ModelSource, AFolderIsTheSameHoweverItsPathIsTyped) {
  const std::string back = std::string("/../") + LoopbackHub::kCommit + "/";
  for (const std::string& end : {std::string(), std::string("/"), std::string("/."), back}) {
    const std::string typed = snapshot_.string() + end;
    EXPECT_EQ(resolve_model(typed, ModelParts::kText).string(), snapshot_.string()) << typed;
  }
}

TEST_F(ModelSource, AFolderThatMayNotBeLookedAtIsTheEnvironmentsFault) {
  const uid_t self = ::geteuid();
  fs::permissions(model_, self == 0 ? fs::perms::owner_all : fs::perms::none);
  if (self == 0) {
    ASSERT_EQ(::seteuid(65534), 0);  // root may look at all
  }
  const std::string message = message_of(ErrorKind::kEnvironment, [&] {
    (void)resolve_model((model_ / "snapshots").string(), ModelParts::kText);
  });
  if (self == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(model_, fs::perms::owner_all);
  EXPECT_THAT(message,
              AllOf(HasSubstr("snapshots: cannot be looked at"), HasSubstr("Permission denied")));
}

}  // namespace
}  // namespace loadline
