#include "report/profile.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "report/machine_name.h"

namespace loadline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Profile example() {
  return {.name = "",
          .created = "2026-11-23T15:04:05Z",
          .key = {.machine = "EPYC, 2 cores, 24 GiB",
                  .model = "sha256:aa",
                  .data = "sha256:bb",
                  .max_seq_length = 512,
                  .quantize = "none",
                  .compute = "bf16",
                  .grad_checkpoint = false,
                  .target_modules = {"q_proj", "v_proj"},
                  .version = "0.1.0"},
          .model_path = "/models/Hermes 2 Pro/",
          .data_path = "rows/train.jsonl",
          .machine_text = "AMD EPYC, 2 cores, 24.0 GiB",
          .train_flags = {},
          .batch_size = 17,
          .lora_rank = 128,
          .lora_layers = 16,
          .peak = 16086_MiB,
          .adjusted = 18499_MiB,
          .budget = 20_GiB,
          .margin = 0.15,
          .step_seconds = 3.2,
          .tokens_per_second = 512.25,
          .run_folder = "runs/1",
          .trial = 4};
}

std::string message_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string document_of(const Profile& profile) { return to_json(profile).dump(); }

TEST(Profile, ReadsBackWhatWasSaved) {
  const TemporaryFolder folder;
  const auto path = save_profile(folder.path() / "new" / "profiles", example());
  EXPECT_EQ(path.filename(), "Hermes-2-Pro-20261123-150405.json");
  const Profile read = load_profile(path.parent_path(), path.stem().string());
  EXPECT_EQ(read.name, "Hermes-2-Pro-20261123-150405");
  EXPECT_EQ(document_of(read), document_of(example()));
  EXPECT_EQ(to_json(read)["schema_version"], 1);
}

TEST(Profile, OfAModelOfTheHubIsCalledAsTheModelAndItsCommandNamesIt) {
  const TemporaryFolder folder;
  Profile profile = example();
  profile.model_path = "org/Smol-1.7B@refs/pr/3";
  EXPECT_EQ(save_profile(folder.path(), profile).filename(), "Smol-1.7B-20261123-150405.json");
  EXPECT_THAT(train_command(profile), HasSubstr(" --model org/Smol-1.7B@refs/pr/3 --data "));
}

TEST(Profile, WithoutANameNeverReplacesAnother) {
  const TemporaryFolder folder;
  const auto first = save_profile(folder.path(), example());
  const auto second = save_profile(folder.path(), example());
  EXPECT_NE(first, second);
  std::vector<std::string> warnings;
  EXPECT_THAT(list_profiles(folder.path(), warnings), SizeIs(2));
}

TEST(Profile, WithANameReplacesTheOneThatHasIt) {
  const TemporaryFolder folder;
  Profile profile = example();
  profile.name = "mine";
  (void)save_profile(folder.path(), profile);
  profile.batch_size = 3;
  (void)save_profile(folder.path(), profile);
  EXPECT_EQ(load_profile(folder.path(), "mine").batch_size, 3);
}

TEST(Profile, NumbersThatAreNotFiniteStayReadable) {
  const TemporaryFolder folder;
  Profile profile = example();
  profile.name = "odd";
  profile.step_seconds = NAN;
  profile.tokens_per_second = INFINITY;
  (void)save_profile(folder.path(), profile);
  EXPECT_EQ(load_profile(folder.path(), "odd").step_seconds, 0);
}

TEST(ProfileName, KeepsToTheFolder) {
  const TemporaryFolder folder;
  for (const std::string name : {"../x", "a/b", ".hidden", "-rf", "", "a b", "x\n", "a\x1b[2J"}) {
    EXPECT_FALSE(is_profile_name(name)) << name;
    EXPECT_THAT(message_of([&] { (void)load_profile(folder.path(), name); }, ErrorKind::kUsage),
                HasSubstr("There are none"));
    EXPECT_THROW(remove_profile(folder.path(), name), Error);
    Profile profile = example();
    profile.name = name;
    if (!name.empty()) {
      EXPECT_THROW((void)save_profile(folder.path(), profile), Error);
    }
  }
  EXPECT_FALSE(is_profile_name(std::string(101, 'a')));
  EXPECT_TRUE(is_profile_name("Hermes-2.1_x"));
}

TEST(ProfileName, IsMadeFromAnyText) {
  EXPECT_EQ(profile_name_from("NousResearch/Hermes-2 Pro"), "NousResearch-Hermes-2-Pro");
  EXPECT_EQ(profile_name_from("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(profile_name_from("日本"), "profile");
  const std::vector<std::string> texts = {"", "...", "a  b--", "-x", "~", std::string(500, 'z')};
  for (const std::string& text : texts) {
    EXPECT_TRUE(is_profile_name(profile_name_from(text))) << text;
  }
}

TEST(ProfileList, IsNewestFirstAndNamesDamagedFiles) {
  const TemporaryFolder folder;
  Profile profile = example();
  for (const char* created : {"2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"}) {
    profile.created = created;
    (void)save_profile(folder.path(), profile);
  }
  std::ofstream(folder.path() / "torn.json") << document_of(example()).substr(0, 100);
  std::ofstream(folder.path() / "newer.json") << R"({"schema_version": 2})";
  std::ofstream(folder.path() / "notes.txt") << "not a profile";
  std::filesystem::create_directory(folder.path() / "folder.json");
  std::vector<std::string> warnings;
  const auto profiles = list_profiles(folder.path(), warnings);
  ASSERT_THAT(profiles, SizeIs(2));
  EXPECT_GT(profiles[0].created, profiles[1].created);
  std::sort(warnings.begin(), warnings.end());
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("folder.json"), HasSubstr("schema_version is 2"),
                                    HasSubstr("torn.json")));
}

TEST(ProfileList, OfAMissingFolderIsEmpty) {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  EXPECT_THAT(list_profiles(folder.path() / "none", warnings), IsEmpty());
  EXPECT_THAT(warnings, IsEmpty());
}

// Each field gone, of another type, or out of its range: named, never taken.
TEST(ProfileFile, WithAnyFieldBrokenIsRefusedWithTheFieldsName) {
  const Json whole = to_json(example());
  for (const auto& [field, value] : whole.items()) {
    for (const Json& broken : {Json(), Json::array({1}), Json("text"), Json(-1), Json(1e300)}) {
      if (broken.is_string() && value.is_string()) continue;
      Json document = whole;
      document[field] = broken;
      const auto refuse = [&] { (void)profile_from_json(document, "p.json"); };
      EXPECT_THAT(message_of(refuse, ErrorKind::kBadInput), HasSubstr(field)) << broken;
    }
  }
  for (const auto& [field, value] : whole["key"].items()) {
    Json document = whole;
    document["key"][field] = Json::object();
    const auto refuse = [&] { (void)profile_from_json(document, "p.json"); };
    EXPECT_THAT(message_of(refuse, ErrorKind::kBadInput), HasSubstr(field));
  }
}

TEST(RemoveProfile, RemovesItAndListsWhatThereIsOtherwise) {
  const TemporaryFolder folder;
  Profile profile = example();
  profile.name = "kept";
  (void)save_profile(folder.path(), profile);
  EXPECT_THAT(message_of([&] { remove_profile(folder.path(), "lost"); }, ErrorKind::kUsage),
              HasSubstr("no profile 'lost' in"));
  EXPECT_THAT(message_of([&] { remove_profile(folder.path(), "lost"); }, ErrorKind::kUsage),
              HasSubstr("There are: kept."));
  remove_profile(folder.path(), "kept");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "kept.json"));
}

TEST(MatchProfile, TakesTheNewestThatAgrees) {
  Profile older = example();
  older.name = "older";
  older.created = "2026-01-01T00:00:00Z";
  Profile newer = example();
  newer.name = "newer";
  const ProfileMatch match = match_profile({older, newer}, example().key);
  ASSERT_TRUE(match.profile);
  EXPECT_EQ(match.profile->name, "newer");
  EXPECT_THAT(match.differences, IsEmpty());
}

TEST(MatchProfile, NamesTheDifferencesOfTheNearest) {
  Profile near = example();
  near.key.max_seq_length = 1024;
  Profile far = example();
  far.key.model = "sha256:cc";
  far.key.machine = "another";
  const ProfileMatch match = match_profile({far, near}, example().key);
  EXPECT_FALSE(match.profile);
  EXPECT_THAT(match.differences, ElementsAre("max_seq_length: profile 1024, now 512"));
}

Profile named(const std::string& name, const std::string& created, bool by_verify = false) {
  Profile profile = example();
  profile.name = name;
  profile.created = created;
  profile.by_verify = by_verify;
  return profile;
}

TEST(MatchProfile, WhatASearchChoseGoesBeforeWhatVerifyProvedLater) {
  const ProfileMatch match = match_profile(
      {named("found", "2026-11-01T00:00:00Z"), named("verified", "2026-11-03T00:00:00Z", true),
       named("older", "2026-10-01T00:00:00Z")},
      example().key);
  ASSERT_EQ(match.matching.size(), 3U);
  EXPECT_EQ(match.profile->name, "found");
  EXPECT_EQ(match.matching[1].name, "older");
  EXPECT_EQ(match.matching[2].name, "verified");
}

TEST(MatchProfile, WhatASearchChoseUnderALaterKeyGoesBeforeWhatVerifyProvedUnderTheFirst) {
  Profile found = named("found", "2026-11-01T00:00:00Z");
  found.key.grad_checkpoint = true;
  const ProfileMatch match = match_profile({found, named("verified", "2026-11-03T00:00:00Z", true)},
                                           std::vector{example().key, found.key});
  EXPECT_EQ(match.profile->name, "found");
}

TEST(MatchProfile, TheNearestIsTheOneThatIsTakenOnceItsFlagsAreGiven) {
  Profile found = named("found", "2026-11-01T00:00:00Z");
  Profile verified = named("verified", "2026-11-03T00:00:00Z", true);
  found.key.max_seq_length = verified.key.max_seq_length = 1024;
  EXPECT_EQ(match_profile({verified, found}, example().key).nearest->name, "found");
  found.key.grad_checkpoint = true;  // as auto takes it too
  ProfileKey on = example().key;
  on.grad_checkpoint = true;
  const ProfileMatch match = match_profile({verified, found}, std::vector{example().key, on});
  EXPECT_EQ(match.nearest->name, "found");
  EXPECT_THAT(match.differences, ElementsAre("max_seq_length: profile 1024, now 512"));
  EXPECT_EQ(match.flags, "--max-seq-length 1024");
}

TEST(MatchProfile, RowsThatAreCutElsewhereAreOneDifferenceWithTheFlagThatMakesThemAgree) {
  Profile profile = example();
  profile.key.max_seq_length = 128;
  profile.key.data = "sha256:cc";
  const ProfileMatch match = match_profile({profile}, example().key);
  EXPECT_THAT(match.differences, ElementsAre("max_seq_length: profile 128, now 512"));
  EXPECT_EQ(match.flags, "--max-seq-length 128");
}

TEST(MatchProfile, FlagsAreNamedOnlyWhereTheyMakeAllOfItAgree) {
  const ProfileKey now = example().key;
  ProfileKey then = now;
  then.quantize = "nf4";
  then.grad_checkpoint = true;
  then.target_modules = {"o_proj"};
  EXPECT_EQ(flags_for(then, now), "--quantize nf4 --grad-checkpoint on --target-modules o_proj");
  then.version = "0.0.1";
  EXPECT_EQ(flags_for(then, now), "");
}

TEST(Profile, ItsFileSaysWhetherVerifyProvedIt) {
  const Profile verified = named("", "2026-11-03T00:00:00Z", true);
  EXPECT_TRUE(profile_from_json(to_json(verified), "test").by_verify);
  Json earlier = to_json(verified);
  earlier.erase("by_verify");
  EXPECT_FALSE(profile_from_json(earlier, "test").by_verify);
}

TEST(MatchProfile, OtherDataOrWeightsAreNamedInWordsNotInDigestsAlone) {
  ProfileKey then = example().key;
  then.model = std::string(64, 'a');
  then.data = std::string(64, 'b');
  ProfileKey now = example().key;
  now.model = "shape " + std::string(64, 'c');
  now.data = std::string(64, 'd');
  EXPECT_THAT(differences_of(then, now),
              ElementsAre("model: another shape, or other weights (profile aaaaaaaaaaaaaaaaaa, now "
                          "shape cccccccccccc)",
                          "data: rows of other lengths (profile bbbbbbbbbbbbbbbbbb, now "
                          "dddddddddddddddddd)"));
}

TEST(MatchProfile, SeesADifferenceInEachPartOfTheKey) {
  const ProfileKey key = example().key;
  std::vector<ProfileKey> others(10, key);
  others[0].machine = others[1].model = others[2].data = "x";
  others[3].max_seq_length = 1;
  others[4].quantize = "nf4";
  others[5].compute = "f32";
  others[6].grad_checkpoint = true;
  others[7].target_modules = {"q_proj"};
  others[8].version = "0.2.0";
  others[9].lora_dropout = true;
  for (const ProfileKey& other : others) EXPECT_THAT(differences_of(key, other), SizeIs(1));
  ProfileKey reordered = key;
  reordered.target_modules = {"v_proj", "q_proj"};
  EXPECT_THAT(differences_of(key, reordered), IsEmpty());
}

TEST(MatchProfile, AMachineMayHaveAFewMibMoreOrLessThanOnAnotherDay) {
  const auto key = [](double gib) {
    ProfileKey made = example().key;
    made.memory = Bytes{1_GiB}.scaled(gib);
    made.machine = machine_name("EPYC", 2, made.memory);
    return made;
  };
  EXPECT_THAT(differences_of(key(23.499), key(23.501)), IsEmpty());
  EXPECT_THAT(differences_of(key(24), key(23.6)), IsEmpty());
  EXPECT_THAT(differences_of(key(24.4), key(23.6)),
              ElementsAre("machine: profile 24.40 GiB, now 23.60 GiB"));
  EXPECT_THAT(differences_of(key(24), key(23)),
              ElementsAre("machine: profile EPYC, 2 cores, 24 GiB, now EPYC, 2 cores, 23 GiB"));
  ProfileKey other = key(24);
  other.machine = machine_name("EPYC", 4, other.memory);
  EXPECT_THAT(differences_of(key(24), other), SizeIs(1));
}

// Its name has whole GiB: what may have been rounded to them is the same.
TEST(MatchProfile, AProfileOfAnEarlierVersionHasItsMemoryInTheNameAlone) {
  Json document = to_json(example());
  document["key"].erase("memory_bytes");
  const ProfileKey old = profile_from_json(document, "profile").key;
  EXPECT_EQ(old.machine, "EPYC, 2 cores, 24 GiB");
  ProfileKey now = old;
  for (const double gib : {23.45, 24.0, 24.6}) {
    now.memory = Bytes{1_GiB}.scaled(gib);
    now.machine = machine_name("EPYC", 2, now.memory);
    EXPECT_THAT(differences_of(old, now), IsEmpty()) << gib;
  }
  now.memory = 32_GiB;
  EXPECT_THAT(differences_of(old, now), SizeIs(1));
}

TEST(MatchProfile, AProfileOfAnEarlierVersionWasProvenWithoutDropout) {
  Json document = to_json(example());
  document["key"].erase("lora_dropout");
  const Profile older = profile_from_json(document, "p.json");
  ProfileKey now = example().key;
  EXPECT_TRUE(match_profile({older}, now).profile);
  now.lora_dropout = true;
  EXPECT_THAT(match_profile({older}, now).differences,
              ElementsAre("lora_dropout: profile off, now on"));
}

TEST(ProfileText, SaysWhatWasProvenAndFromWhat) {
  Profile profile = example();
  profile.name = "mine";
  profile.generated_weights = true;
  const std::string text = as_text(profile);
  for (const std::string& part :
       {profile.name, profile.model_path, profile.data_path, profile.run_folder,
        to_string(profile.peak), to_string(profile.budget),
        fmt::format("batch {}, rank {}, {} layers", profile.batch_size, profile.lora_rank,
                    profile.lora_layers),
        std::string("generated weights")}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(ProfileText, OneLayerIsNotSaidAsMany) {
  Profile profile = example();
  profile.lora_layers = 1;
  EXPECT_THAT(as_text(profile), HasSubstr(" 1 layer of LoRA"));
}

TEST(ProfileText, ASlowStepIsSaidInSecondsThatPeopleRead) {
  Profile profile = example();
  profile.step_seconds = 1668.4;
  EXPECT_THAT(as_text(profile), HasSubstr("1668.4 s a step"));
}

TEST(ProfileText, ATerminalObeysNothingThatAProfileSays) {
  constexpr const char* kEscape = "\x1b]0;mine\x07";
  Profile hostile = example();
  for (std::string* field :
       {&hostile.created, &hostile.machine_text, &hostile.model_path, &hostile.data_path,
        &hostile.run_folder, &hostile.key.version, &hostile.key.compute, &hostile.key.quantize,
        &hostile.key.machine, &hostile.key.model, &hostile.key.data}) {
    *field += kEscape;
  }
  hostile.key.target_modules.emplace_back(kEscape);
  EXPECT_EQ(as_text(hostile).find_first_of("\x1b\x07"), std::string::npos) << as_text(hostile);
  EXPECT_EQ(train_command(hostile).find_first_of("\x1b\x07"), std::string::npos);
  const ProfileMatch match = match_profile({hostile}, example().key);
  EXPECT_THAT(match.differences, Not(IsEmpty()));
  for (const std::string& difference : match.differences) {
    EXPECT_EQ(difference.find_first_of("\x1b\x07"), std::string::npos) << difference;
  }
}

TEST(TrainCommand, CanBePastedIntoAShell) {
  EXPECT_EQ(
      train_command(example()),
      "loadline train --model '/models/Hermes 2 Pro/' --data rows/train.jsonl --batch-size 17 "
      "--lora-rank 128 --lora-layers 16 --target-modules q_proj,v_proj --max-seq-length 512 "
      "--compute-dtype bf16 --adapter-path adapters");
  Profile flagged = example();
  flagged.train_flags = {"--mask-prompt", "--margin", "0.2", "--valid-data", "/my rows/v.jsonl"};
  EXPECT_THAT(train_command(flagged),
              HasSubstr("bf16 --mask-prompt --margin 0.2 --valid-data '/my rows/v.jsonl' "
                        "--adapter-path adapters"));
  EXPECT_EQ(profile_from_json(to_json(flagged), "p").train_flags, flagged.train_flags);
  flagged.train_flags = {"--demo", "--rslora"};  // wherever its files were unpacked
  EXPECT_THAT(train_command(flagged), AllOf(HasSubstr("train --demo --batch-size 17 "),
                                            HasSubstr("bf16 --rslora --adapter"),
                                            Not(HasSubstr("--model")), Not(HasSubstr("--data"))));
  Json earlier = to_json(flagged);
  earlier.erase("train_flags");
  EXPECT_TRUE(profile_from_json(earlier, "p").train_flags.empty());
  Profile hostile = example();
  hostile.model_path = "x'; rm -rf $HOME; '";
  EXPECT_THAT(train_command(hostile), HasSubstr(R"(--model 'x'\''; rm -rf $HOME; '\''' --data)"));
}

}  // namespace
}  // namespace loadline
