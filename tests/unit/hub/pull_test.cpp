// Downloads from a hub on loopback that can stall, cut, corrupt, redirect and refuse.
#include "hub/pull.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>

#include "base/file_lock.h"
#include "hub/loopback_hub.h"
#include "unit/checkpoint/hostile_files.h"

namespace {

std::atomic<bool> links_are_refused{false};

}  // namespace

// Before the C library's: not every machine has a file system without links.
extern "C" int symlink(const char* target, const char* link) noexcept {
  if (!links_are_refused) return ::symlinkat(target, AT_FDCWD, link);
  errno = EPERM;
  return -1;
}

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LoopbackHub;
using ::testing::Not;
using testing::only_first;
using testing::Reply;
using testing::Request;

const std::string kWeights = [] {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i * 7919) + ' ';
  return text;
}();

class Pull : public ::testing::Test {
 protected:
  Pull() {
    hub_.put("config.json", R"({"model_type":"llama"})");
    hub_.put("tokenizer.json", "{}");
    hub_.put("model.safetensors", kWeights, true);
    hub_.put("README.md", "# Read me");
    hub_.put("pytorch_model.bin", "other weights", true);
    settings_.endpoint = hub_.url();
    settings_.first_pause = std::chrono::milliseconds(5);
    settings_.http.stall_timeout = std::chrono::seconds(1);
  }

  PullReport pull(ModelParts parts = ModelParts::kAll) {
    PullView view;
    view.line = [this](const std::string& text) {
      notes_ += text + '\n';
      if (on_note_) on_note_();
    };
    view.progress = [this](const PullProgress& progress) { last_ = progress; };
    return pull_model(model_, parts, HubCache(root_), settings_, view);
  }
  std::string failure(ErrorKind kind) {
    return message_of(kind, [&] { (void)pull(); });
  }
  [[nodiscard]] fs::path blob(const std::string& name) const {
    return folder_ / "blobs" / hub_.etag(name);
  }
  void expect_whole_weights() const {
    EXPECT_EQ(read_file(snapshot_ / "model.safetensors", 1_MiB), kWeights);
  }
  // Nothing that a reader of the cache could take for a model.
  void expect_nothing_usable() const {
    EXPECT_FALSE(fs::exists(snapshot_ / "model.safetensors"));
    EXPECT_FALSE(fs::exists(folder_ / "refs/main"));
  }

  LoopbackHub hub_;
  HubModel model_{.repository = "org/name"};
  HubSettings settings_;
  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path() / "hub";
  fs::path folder_ = root_ / "models--org--name";
  fs::path snapshot_ = folder_ / "snapshots" / LoopbackHub::kCommit;
  std::string notes_;
  std::function<void()> on_note_;
  PullProgress last_;
};

TEST_F(Pull, WritesWhatThePythonClientWrites) {
  const PullReport report = pull();
  EXPECT_EQ(report.snapshot, snapshot_);
  EXPECT_EQ(read_file(folder_ / "refs/main", 1_KiB), LoopbackHub::kCommit);
  EXPECT_EQ(fs::read_symlink(snapshot_ / "config.json"), "../../blobs/" + hub_.etag("config.json"));
  EXPECT_EQ(hub_.etag("config.json").size(), 40U);
  EXPECT_EQ(fs::read_symlink(snapshot_ / "model.safetensors"),
            "../../blobs/" + hub_.etag("model.safetensors"));
  expect_whole_weights();
  EXPECT_TRUE(fs::exists(folder_ / ".no_exist" / LoopbackHub::kCommit / "chat_template.jinja"));
  EXPECT_TRUE(
      fs::exists(root_ / ".locks/models--org--name" / (hub_.etag("model.safetensors") + ".lock")));
  EXPECT_FALSE(fs::exists(blob("model.safetensors").string() + ".incomplete"));
  EXPECT_EQ(last_.done, last_.total);
  EXPECT_EQ(last_.files_done, 3U);
}

TEST_F(Pull, AsksForWhatIsNeededAndNotAgain) {
  pull();
  EXPECT_THAT(hub_.asked_for("README"), IsEmpty());
  EXPECT_THAT(hub_.asked_for("pytorch_model"), IsEmpty());
  const std::size_t before = hub_.store_requests().size();
  EXPECT_EQ(pull().received, 0U);
  EXPECT_EQ(hub_.store_requests().size(), before);
}

TEST_F(Pull, TheTemplateForToolsComesIntoItsFolder) {
  hub_.put("additional_chat_templates/tool_use.jinja", "{{ tools }}");
  pull();
  EXPECT_EQ(read_file(snapshot_ / "additional_chat_templates/tool_use.jinja", 1_KiB),
            "{{ tools }}");
}

TEST_F(Pull, ABlobOfAnotherSizeThanTheHubSaysIsFetchedAnew) {
  pull();
  for (const std::uintmax_t size : {std::uintmax_t{0}, std::uintmax_t{1000}, kWeights.size() + 1}) {
    fs::resize_file(blob("model.safetensors"), size);
    EXPECT_EQ(pull().received, kWeights.size());
    expect_whole_weights();
  }
}

TEST_F(Pull, WithoutLinksTheSnapshotHasTheContentAndItIsNotFetchedAgain) {
  hub_.put("generation_config.json", "{}");  // of the etag that tokenizer.json has
  links_are_refused = true;
  pull();
  EXPECT_FALSE(fs::is_symlink(snapshot_ / "model.safetensors"));
  EXPECT_FALSE(fs::exists(blob("model.safetensors"))) << "it is on the disk twice";
  for (const char* file : {"generation_config.json", "tokenizer.json"}) {
    EXPECT_EQ(read_file(snapshot_ / file, 1_KiB), "{}");
  }
  expect_whole_weights();
  EXPECT_EQ(pull().received, 0U);
  fs::resize_file(snapshot_ / "model.safetensors", 1000);
  EXPECT_EQ(pull().received, kWeights.size());
  links_are_refused = false;  // as if the cache had been copied
  EXPECT_EQ(pull().received, 0U);
  expect_whole_weights();
}

TEST_F(Pull, TheTextPartsLeaveTheWeights) {
  pull(ModelParts::kText);
  EXPECT_TRUE(fs::exists(snapshot_ / "tokenizer.json"));
  EXPECT_THAT(hub_.asked_for("model.safetensors"), IsEmpty());
}

TEST_F(Pull, ShardsComeByTheirIndex) {
  LoopbackHub sharded;
  sharded.put("config.json", "{}");
  sharded.put("model.safetensors.index.json",
              R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  sharded.put("m-1.safetensors", "one", true);
  sharded.put("m-2.safetensors", "two", true);
  sharded.put("m-3.safetensors", "not named", true);
  settings_.endpoint = sharded.url();
  pull();
  EXPECT_EQ(read_file(snapshot_ / "m-1.safetensors", 1_KiB), "one");
  EXPECT_EQ(read_file(snapshot_ / "m-2.safetensors", 1_KiB), "two");
  EXPECT_THAT(sharded.asked_for("m-3"), IsEmpty());
}

TEST_F(Pull, AnIndexThatLeadsElsewhereIsRefused) {
  for (const std::string shard : {"../../x.safetensors", "/x.safetensors", "gone.safetensors"}) {
    LoopbackHub hostile;
    hostile.put("config.json", "{}");
    hostile.put("model.safetensors.index.json", R"({"weight_map":{"a":")" + shard + "\"}}");
    settings_.endpoint = hostile.url();
    const std::string message = failure(ErrorKind::kBadInput);
    EXPECT_THAT(message, HasSubstr(shard));
    expect_nothing_usable();
    fs::remove_all(root_);
  }
}

TEST_F(Pull, TheTokenGoesToTheHubAndNotToItsStore) {
  settings_.token = "hf_secret";
  pull();
  for (const Request& request : hub_.hub_requests()) {
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret") << request.target;
  }
  ASSERT_FALSE(hub_.store_requests().empty());
  for (const Request& request : hub_.store_requests()) {
    EXPECT_EQ(request.header("authorization"), "") << request.target;
  }
}

TEST_F(Pull, ACutDownloadGoesOnWhereItStopped) {
  hub_.store_fault(only_first(2, [](const Request&, Reply& reply) { reply.cut_after = 100'000; }));
  pull();
  expect_whole_weights();
  ASSERT_EQ(hub_.store_requests().size(), 3U);
  EXPECT_EQ(hub_.store_requests()[1].header("range"), "bytes=100000-");
  EXPECT_EQ(hub_.store_requests()[2].header("range"), "bytes=200000-");
  EXPECT_THAT(notes_, HasSubstr("trying again"));
  EXPECT_EQ(last_.received, last_.total) << "nothing came twice";
}

TEST_F(Pull, WhatAnotherProcessLeftIncompleteIsTakenUp) {
  make_folder(folder_ / "blobs");
  replace_file(blob("model.safetensors").string() + ".incomplete", kWeights.substr(0, 1000));
  pull();
  expect_whole_weights();
  ASSERT_EQ(hub_.store_requests().size(), 1U);
  EXPECT_EQ(hub_.store_requests()[0].header("range"), "bytes=1000-");
}

TEST_F(Pull, DamagedLeftoversAreFetchedAnew) {
  make_folder(folder_ / "blobs");
  for (const std::string& leftover :
       {std::string(1000, 'x'), std::string(kWeights.size(), 'x'), kWeights + "more"}) {
    replace_file(blob("model.safetensors").string() + ".incomplete", leftover);
    pull();
    expect_whole_weights();
    fs::remove(blob("model.safetensors"));
    fs::remove(snapshot_ / "model.safetensors");
  }
}

TEST_F(Pull, AStalledDownloadIsTakenUpAgain) {
  hub_.store_fault(only_first(1, [](const Request&, Reply& reply) { reply.stall_after = 5000; }));
  pull();
  expect_whole_weights();
  EXPECT_EQ(hub_.store_requests().back().header("range"), "bytes=5000-");
}

TEST_F(Pull, AServerWithoutRangesIsReadFromTheBeginning) {
  int asked = 0;
  hub_.store_fault([&](const Request&, Reply& reply) {
    reply = {.status = 200, .headers = {}, .body = kWeights};
    if (++asked == 1) reply.cut_after = 70'000;
  });
  pull();
  expect_whole_weights();
}

TEST_F(Pull, AnotherPartThanTheOneAskedForIsRefused) {
  hub_.store_fault([&](const Request& request, Reply& reply) {
    if (request.header("range").empty()) reply.cut_after = 1000;
    if (reply.status == 206) reply.headers["Content-Range"] = "bytes 5-10/11";
  });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("bytes 5-10/11"));
  expect_nothing_usable();
}

TEST_F(Pull, CorruptContentIsFetchedAgain) {
  hub_.store_fault(only_first(1, [](const Request&, Reply& reply) { reply.body[77] ^= 1; }));
  pull();
  expect_whole_weights();
  EXPECT_THAT(notes_, HasSubstr("not what the Hub says"));
}

TEST_F(Pull, ContentThatStaysCorruptIsRefused) {
  hub_.store_fault([](const Request&, Reply& reply) { reply.body[77] ^= 1; });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("SHA-256"));
  EXPECT_FALSE(fs::exists(blob("model.safetensors")));
  expect_nothing_usable();
}

TEST_F(Pull, SmallFilesAreCheckedAgainstGitsHash) {
  hub_.hub_fault([](const Request& request, Reply& reply) {
    if (request.target.ends_with("tokenizer.json")) reply.body = "{]";
  });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("Git object"));
  EXPECT_FALSE(fs::exists(snapshot_ / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(folder_ / "refs/main"));
}

TEST_F(Pull, ContentOfAnotherLengthIsRefused) {
  hub_.store_fault([](const Request&, Reply& reply) { reply.body += "more"; });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("more came than"));
  hub_.store_fault([](const Request&, Reply& reply) { reply = {.headers = {}, .body = "short"}; });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("what came is not what the Hub says"));
  expect_nothing_usable();
}

TEST_F(Pull, ABusyHubIsAskedAgain) {
  for (const int status : {429, 500, 502, 503, 504}) {
    hub_.hub_fault(only_first(2, [&](const Request&, Reply& reply) {
      reply = {.status = status, .headers = {{"Retry-After", "0"}}, .body = "busy"};
    }));
    pull();
    EXPECT_THAT(notes_, HasSubstr("the Hub answers " + std::to_string(status)));
  }
  expect_whole_weights();
}

TEST_F(Pull, RetryAfterIsKeptInSecondsUpToFiveMinutes) {
  std::atomic<bool> stop{false};
  settings_.http.stop = [&] { return stop.load(); };
  on_note_ = [&] { stop = true; };
  for (const auto& [said, kept] :
       {std::pair("200", "in 200.0 s"), std::pair("100000", "in 300.0 s"),
        std::pair("Wed, 21 Oct 2099 07:28:00 GMT", "in 0.0 s")}) {
    stop = false;
    notes_.clear();
    hub_.hub_fault([&, after = said](const Request&, Reply& reply) {
      reply = {.status = 429, .headers = {{"Retry-After", after}}, .body = "busy"};
    });
    (void)failure(ErrorKind::kInterrupted);
    EXPECT_THAT(notes_, HasSubstr(kept)) << said;
  }
}

TEST_F(Pull, AHubThatStaysBusyIsAnErrorOfTheEnvironment) {
  hub_.store_fault([](const Request&, Reply& reply) { reply.status = 503; });
  EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("answers 503"));
  EXPECT_EQ(hub_.store_requests().size(), 5U);
  hub_.hub_fault([](const Request&, Reply& reply) { reply.status = 429; });
  EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("too many requests"));
}

TEST_F(Pull, RefusalsSayWhatToDo) {
  struct Case {
    int status;
    std::string code;
    ErrorKind kind;
    std::string says;
  };
  for (const Case& refusal :
       {Case{401, "GatedRepo", ErrorKind::kEnvironment, "is gated: accept its conditions"},
        Case{403, "GatedRepo", ErrorKind::kEnvironment, "HF_TOKEN"},
        Case{401, "RepoNotFound", ErrorKind::kBadInput, "has no such model"},
        Case{404, "RepoNotFound", ErrorKind::kBadInput, "has no such model"},
        Case{404, "", ErrorKind::kBadInput, "has no such model"},
        Case{404, "RevisionNotFound", ErrorKind::kBadInput, "has no revision 'main'"},
        Case{401, "", ErrorKind::kEnvironment, "Give a token"},
        Case{403, "", ErrorKind::kEnvironment, "refuses it (403"},
        Case{418, "", ErrorKind::kEnvironment, "answers 418"}}) {
    hub_.hub_fault([&](const Request&, Reply& reply) {
      reply = {.status = refusal.status, .headers = {{"X-Error-Code", refusal.code}}, .body = "no"};
    });
    EXPECT_THAT(failure(refusal.kind), HasSubstr(refusal.says)) << refusal.status << refusal.code;
  }
  EXPECT_THAT(notes_, IsEmpty()) << "none of these passes by itself";
}

TEST_F(Pull, AGatedFileIsTold) {
  hub_.hub_fault([](const Request& request, Reply& reply) {
    if (request.method != "HEAD" || !request.target.ends_with("config.json")) return;
    reply = {.status = 403, .headers = {{"X-Error-Code", "GatedRepo"}}, .body = ""};
  });
  EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("org/name: is gated"));
}

TEST_F(Pull, RedirectsThatLeadOffTheWebOrInCirclesAreRefused) {
  for (const std::string location : {"file:///etc/passwd", "", "again"}) {
    hub_.hub_fault([&](const Request& request, Reply& reply) {
      if (request.method != "GET") return;
      const std::string target = location == "again" ? hub_.url() + request.target : location;
      reply = {.status = 302, .headers = {{"Location", target}}, .body = ""};
    });
    EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("leads"));
  }
}

TEST_F(Pull, AnEtagThatIsAPathIsRefused) {
  hub_.hub_fault([](const Request& request, Reply& reply) {
    if (request.target.ends_with("config.json")) reply.headers["ETag"] = "\"../../../x\"";
  });
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("cannot be the name of a file"));
  EXPECT_FALSE(fs::exists(temporary_.path() / "x"));
}

TEST_F(Pull, AListingOfPathTricksDownloadsNothing) {
  hub_.put("../../x", "evil");
  EXPECT_THAT(failure(ErrorKind::kBadInput), HasSubstr("could lead out"));
  EXPECT_FALSE(fs::exists(root_));
}

TEST_F(Pull, ADiskThatIsTooSmallIsToldBeforeTheDownload) {
  hub_.hub_fault([](const Request& request, Reply& reply) {
    if (request.target.ends_with("model.safetensors"))
      reply.headers["X-Linked-Size"] = "1000000000000000000";
  });
  EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("Make room"));
  EXPECT_THAT(hub_.store_requests(), IsEmpty());
}

TEST_F(Pull, ADiskThatRefusesIsAnErrorAndTheDownloadGoesOnLater) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 150'000, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = failure(ErrorKind::kEnvironment);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message, HasSubstr("cannot be written"));
  expect_nothing_usable();
  pull();
  expect_whole_weights();
  EXPECT_EQ(hub_.store_requests().back().header("range"), "bytes=150000-");
}

TEST_F(Pull, AnotherProcessIsWaitedFor) {
  const fs::path lock = root_ / ".locks/models--org--name" / (hub_.etag("config.json") + ".lock");
  make_folder(lock.parent_path());
  auto held = lock_file(lock);
  ASSERT_TRUE(held.has_value());
  on_note_ = [&] {
    // Meanwhile it has finished.
    replace_file(blob("config.json"), R"({"model_type":"llama"})");
    held.reset();
  };
  pull();
  EXPECT_THAT(notes_, HasSubstr("another process"));
  EXPECT_THAT(hub_.asked_for("config.json"), Not(Contains(HasSubstr("GET"))));
}

TEST_F(Pull, AStopKeepsWhatCame) {
  std::atomic<bool> stop{false};
  settings_.http.stop = [&] { return stop.load(); };
  hub_.store_fault(only_first(1, [&](const Request&, Reply& reply) {
    reply.stall_after = 40'000;
    stop = true;
  }));
  EXPECT_THAT(failure(ErrorKind::kInterrupted), HasSubstr("goes on"));
  expect_nothing_usable();
  stop = false;
  pull();
  expect_whole_weights();
}

TEST_F(Pull, ANetworkThatIsNotThereIsToldAtOnce) {
  settings_.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(failure(ErrorKind::kEnvironment), HasSubstr("cannot be reached"));
  EXPECT_THAT(notes_, IsEmpty());
  settings_.endpoint = "no url";
  EXPECT_THAT(failure(ErrorKind::kUsage), HasSubstr("HF_ENDPOINT"));
}

}  // namespace
}  // namespace loadline
