#include "hub/cache.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/weight_index.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kLongestRef = 4_KiB;

// "models--ORG--NAME"
std::string folder_name(const HubModel& model) {
  const std::size_t slash = model.repository.find('/');
  return fmt::format("models--{}--{}", model.repository.substr(0, slash),
                     model.repository.substr(slash + 1));
}

// A link to a blob that is gone is not there.
bool is_file(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored);
}

// On a file system without links the snapshot has the content itself.
bool has_content(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(fs::symlink_status(file, ignored));
}

bool points_to(const fs::path& link, const fs::path& target) {
  std::error_code error;
  return fs::read_symlink(link, error) == target && !error;
}

// What a file of refs/ says, which may be no commit.
std::string commit_in(const fs::path& ref) {
  std::string commit = read_file(ref, kLongestRef);
  commit.erase(commit.find_last_not_of(" \r\n\t") + 1);
  return commit;
}

// Empty where the file cannot be read.
std::string commit_if_readable(const fs::path& ref) {
  try {
    return commit_in(ref);
  } catch (const Error&) {
    return "";
  }
}

void find_missing_weights(const fs::path& snapshot, std::vector<std::string>& needed) {
  if (is_file(snapshot / kSingleWeightFile)) return;
  const fs::path index = snapshot / kWeightIndexFile;
  if (!is_file(index)) {
    needed.emplace_back(kSingleWeightFile);
    return;
  }
  for (const std::string& shard : weight_shards(index)) {
    if (!is_file(snapshot / shard)) needed.push_back(shard);
  }
}

// Those that may be missing. What tokenizer_config.json says itself is looked up nowhere else.
std::vector<const char*> files_that_may_be_missing(const fs::path& snapshot, ModelParts parts) {
  std::vector<const char*> files{"tokenizer.json", "tokenizer_config.json"};
  const fs::path config = snapshot / "tokenizer_config.json";
  const Json settings = is_file(config) ? read_json(config) : Json::object();
  if (json_find(settings, "chat_template") == nullptr) files.push_back(kChatTemplateFile);
  if (json_find(settings, "eos_token") == nullptr) files.push_back("special_tokens_map.json");
  if (parts == ModelParts::kAll) files.push_back("generation_config.json");
  return files;
}

bool is_without_links(const std::error_code& error) {
  return error == std::errc::operation_not_permitted ||
         error == std::errc::operation_not_supported || error == std::errc::function_not_supported;
}

// What others link to stays for them.
void put_content(const fs::path& blob, const fs::path& place, bool is_shared,
                 std::error_code& error) {
  if (!is_shared) return fs::rename(blob, place, error);
  error.clear();
  ReplacementFile copy(place);
  copy.write(MappedFile(blob).bytes());
  copy.commit();
}

// Renamed over what is there, so that a reader never finds nothing. Its first name is its own, as
// other processes, in containers of equal process ids too, may make the same link now.
void make_link(const fs::path& target, const fs::path& link, const fs::path& blob, bool is_shared) {
  if (points_to(link, target)) return;
  if (!is_there(blob) && has_content(link)) return;
  if (!is_there(blob)) {
    throw environment_error("{}: was taken away meanwhile. The same command fetches it again",
                            blob.string());
  }
  fs::path fresh = link;
  fresh += fmt::format(".{:08x}", std::random_device()());
  std::error_code error;
  fs::create_symlink(target, fresh, error);
  const bool without_links = is_without_links(error);
  if (!error) fs::rename(fresh, link, error);
  if (without_links) put_content(blob, link, is_shared, error);
  if (!error) return;
  std::error_code ignored;
  fs::remove(fresh, ignored);
  throw environment_error("{}: cannot be made: {}", link.string(), error.message());
}

}  // namespace

fs::path HubCache::folder(const HubModel& model) const { return root_ / folder_name(model); }

std::optional<std::string> HubCache::commit_of(const HubModel& model) const {
  if (is_commit(model.revision)) return model.revision;
  const fs::path ref = folder(model) / "refs" / model.revision;
  if (!is_file(ref)) return std::nullopt;
  const std::string commit = commit_in(ref);
  if (!is_commit(commit)) {
    throw bad_input(
        "{}: should hold a commit of 40 hexadecimal digits, but holds {} bytes of "
        "something else. Remove it and run `loadline pull {}`.",
        ref.string(), commit.size(), model.text());
  }
  return commit;
}

fs::path HubCache::snapshot(const HubModel& model, const std::string& commit) const {
  return folder(model) / "snapshots" / commit;
}

std::vector<std::string> HubCache::revisions(const HubModel& model) const {
  std::set<std::string> commits, named;
  std::vector<std::string> revisions;
  std::error_code error;
  for (fs::directory_iterator it(folder(model) / "snapshots", error), end; !error && it != end;
       it.increment(error)) {
    if (is_commit(it->path().filename().string())) commits.insert(it->path().filename().string());
  }
  const fs::path refs = folder(model) / "refs";
  for (fs::recursive_directory_iterator it(refs, error), end; !error && it != end;
       it.increment(error)) {
    if (!is_file(it->path())) continue;
    const std::string name = it->path().lexically_relative(refs).string();
    const std::string commit = commit_if_readable(it->path());
    if (!commits.contains(commit)) continue;
    revisions.push_back(name);
    named.insert(commit);
  }
  std::sort(revisions.begin(), revisions.end());
  std::set_difference(commits.begin(), commits.end(), named.begin(), named.end(),
                      std::back_inserter(revisions));
  return revisions;
}

MissingFiles HubCache::missing(const HubModel& model, const std::string& commit,
                               ModelParts parts) const {
  const fs::path files = snapshot(model, commit);
  const fs::path absent = folder(model) / ".no_exist" / commit;
  MissingFiles missing;
  if (!is_file(files / "config.json")) missing.needed.emplace_back("config.json");
  for (const char* file : files_that_may_be_missing(files, parts)) {
    if (!is_file(files / file) && !is_file(absent / file)) missing.unknown.emplace_back(file);
  }
  if (parts == ModelParts::kAll) find_missing_weights(files, missing.needed);
  return missing;
}

fs::path HubCache::blob(const HubModel& model, const std::string& etag) const {
  return folder(model) / "blobs" / etag;
}

fs::path HubCache::lock(const HubModel& model, const std::string& etag) const {
  return root_ / ".locks" / folder_name(model) / (etag + ".lock");
}

void HubCache::link(const HubModel& model, const std::string& commit, const std::string& file,
                    const std::string& etag, bool is_shared) const {
  const fs::path link = snapshot(model, commit) / file;
  make_folder(link.parent_path());
  const fs::path target = blob(model, etag).lexically_relative(link.parent_path());
  make_link(target, link, blob(model, etag), is_shared);
}

fs::path HubCache::content(const HubModel& model, const std::string& commit,
                           const std::string& file, const std::string& etag) const {
  const fs::path place = snapshot(model, commit) / file;
  return !is_there(blob(model, etag)) && has_content(place) ? place : blob(model, etag);
}

void HubCache::remember_absent(const HubModel& model, const std::string& commit,
                               const std::string& file) const {
  const fs::path mark = folder(model) / ".no_exist" / commit / file;
  if (is_file(mark)) return;
  make_folder(mark.parent_path());
  replace_file(mark, "");
}

void HubCache::set_ref(const HubModel& model, const std::string& commit) const {
  if (is_commit(model.revision)) return;
  const fs::path ref = folder(model) / "refs" / model.revision;
  make_folder(ref.parent_path());
  replace_file(ref, commit);
}

}  // namespace loadline
