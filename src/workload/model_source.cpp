#include "workload/model_source.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <system_error>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stopwatch.h"
#include "machine/interrupt.h"
#include "report/download_view.h"
#include "report/print.h"
#include "workload/hub_environment.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;

namespace {

fs::path checked_folder(const std::string& model) {
  if (!is_there(fs::path(model) / "config.json") && !is_there(fs::path(model) / "tokenizer.json")) {
    throw bad_input(
        "{}: has neither config.json nor tokenizer.json, so it is not a Hugging Face model folder",
        model);
  }
  return normal_folder(model);
}

// What the cache has of a model: nothing, a part, all.
struct Cached {
  std::optional<std::string> commit;
  fs::path snapshot;
  MissingFiles missing;

  [[nodiscard]] bool whole() const { return commit && missing.none(); }
  // Enough where no more can be had: the other files may not exist at all.
  [[nodiscard]] bool usable() const { return commit && missing.needed.empty(); }
  [[nodiscard]] bool lacks(const char* file) const {
    return std::find(missing.unknown.begin(), missing.unknown.end(), file) != missing.unknown.end();
  }
};

Cached look_into(const HubCache& cache, const HubModel& model, ModelParts parts) {
  Cached cached{.commit = cache.commit_of(model), .snapshot = {}, .missing = {}};
  if (!cached.commit) return cached;
  cached.snapshot = cache.snapshot(model, *cached.commit);
  cached.missing = cache.missing(model, *cached.commit, parts);
  return cached;
}

// "it has main, v1.0": those that could be used in the place of the model's own; empty where there
// is none.
std::string cached_revisions(const HubModel& model, const HubCache& cache, ModelParts parts) {
  std::vector<std::string> usable;
  for (const std::string& revision : cache.revisions(model)) {
    HubModel other = model;
    other.revision = revision;
    try {
      if (look_into(cache, other, parts).usable()) usable.push_back(revision);
    } catch (const Error&) {  // a damaged one is of no use
    }
  }
  if (usable.empty()) return "";
  return fmt::format("it has {}", fmt::join(usable, ", "));
}

Error not_in_cache(const HubModel& model, const HubCache& cache, const Cached& cached,
                   ModelParts parts) {
  if (!cached.commit || !is_there(cached.snapshot)) {
    const std::string others = cached_revisions(model, cache, parts);
    if (!others.empty()) {
      return bad_input(
          "{}: the Hub's cache {} has this model, but not its revision '{}': {}. HF_HUB_OFFLINE is "
          "set: unset it, name one of these, or run `loadline pull {}` where there is a network",
          model.text(), cache.root().string(), model.revision, others, model.text());
    }
    return bad_input(
        "{}: there is no such folder, the Hub's cache {} does not have this model, and "
        "HF_HUB_OFFLINE is set. Unset it, or run `loadline pull {}` where there is a network",
        model.text(), cache.root().string(), model.text());
  }
  return bad_input(
      "{}: {} lacks {}, and HF_HUB_OFFLINE is set. Unset it, or run `loadline pull {}` where there "
      "is a network",
      model.text(), cached.snapshot.string(), fmt::join(cached.missing.needed, ", "), model.text());
}

HubSettings settings_of(const HubAccess& hub) {
  HubSettings settings;
  settings.endpoint = hub.endpoint;
  settings.token = hub.token;
  settings.http.stall_timeout = hub.timeout;
  settings.http.ca_file = hub.ca_file;
  settings.http.stop = [] { return interrupted(); };
  return settings;
}

DownloadState state_of(const PullProgress& progress) {
  return {.total = progress.total,
          .done = progress.done,
          .received = progress.received,
          .files = progress.files,
          .files_done = progress.files_done};
}

PullReport download(const HubModel& model, ModelParts parts, const HubCache& cache) {
  const HubAccess hub = read_hub_access();
  const Interruptible scope;
  DownloadView view(stderr, draws(stderr), [] { return columns_of(stderr); });
  view.line(fmt::format("Downloading {} from {}", model.text(), hub.endpoint));
  const Stopwatch watch;
  const PullReport report = pull_model(
      model, parts, cache, settings_of(hub),
      {.progress = [&](const PullProgress& p) { view.progress(watch.seconds(), state_of(p)); },
       .line = [&](const std::string& text) { view.line(text); }});
  view.line(fmt::format("{} files, {} received in {:.1f} s", report.files.size(),
                        to_string(Bytes{report.received}), watch.seconds()));
  return report;
}

// Of a revision that the cache has begun its commit: only `loadline pull` asks for a newer one.
HubModel as_begun(const HubModel& model, const Cached& cached) {
  const bool is_begun = cached.commit && is_there(cached.snapshot);
  return {.repository = model.repository, .revision = is_begun ? *cached.commit : model.revision};
}

// Where it cannot be had and the cache has nothing of it, the others that it has are named; and
// where a commit that was begun cannot, the way to today's.
PullReport download_revision(const HubModel& model, ModelParts parts, const HubCache& cache,
                             const Cached& cached) {
  const HubModel begun = as_begun(model, cached);
  try {
    return download(begun, parts, cache);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadInput && begun.revision != model.revision) {
      throw bad_input(
          "{}\nThe Hub's cache has that commit for '{}'; `loadline pull {}` asks for today's",
          error.what(), model.revision, model.text());
    }
    if (cached.commit && is_there(cached.snapshot)) throw;
    const std::string others = cached_revisions(model, cache, parts);
    if (error.kind() == ErrorKind::kInterrupted || others.empty()) throw;
    throw Error(error.kind(), fmt::format("{}. The Hub's cache has not this revision of {}: {}",
                                          error.what(), model.repository, others));
  }
}

// What the cache has of a model whose other files cannot be asked for.
fs::path as_cached(const HubModel& model, const Cached& cached) {
  if (cached.lacks(kChatTemplateFile)) {
    tell(stderr,
         "Warning: {} has no chat template, and may have one on the Hub: messages are written as "
         "ChatML where the tokenizer knows it. `loadline pull {}` fetches it\n",
         cached.snapshot.string(), model.text());
  }
  return cached.snapshot;
}

fs::path hub_model(const HubModel& model, ModelParts parts) {
  const HubEnvironment hub = read_hub_environment();
  const HubCache cache(hub.cache);
  const Cached cached = look_into(cache, model, parts);
  if (cached.whole()) return cached.snapshot;
  if (hub.offline && cached.usable()) return as_cached(model, cached);
  if (hub.offline) throw not_in_cache(model, cache, cached, parts);
  if (!cached.usable()) return download_revision(model, parts, cache, cached).snapshot;
  try {
    return download(as_begun(model, cached), parts, cache).snapshot;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    tell(stderr, "{}\nGoing on with what the cache has; it lacks {}\n", error.what(),
         fmt::join(cached.missing.unknown, ", "));
    return as_cached(model, cached);
  }
}

}  // namespace

PullReport pull_from_hub(const HubModel& model, ModelParts parts) {
  const HubEnvironment hub = read_hub_environment();
  const HubCache cache(hub.cache);
  if (!hub.offline) return download(model, parts, cache);
  const Cached cached = look_into(cache, model, parts);
  if (!cached.usable()) throw not_in_cache(model, cache, cached, parts);
  return {.commit = *cached.commit, .snapshot = cached.snapshot, .files = {}, .received = 0};
}

std::optional<HubModel> named_on_hub(const std::string& model) {
  return is_there(model) ? std::nullopt : parse_hub_model(model);
}

std::optional<fs::path> cached_snapshot(const HubModel& model) {
  const HubCache cache(read_hub_environment().cache);
  const std::optional<std::string> commit = cache.commit_of(model);
  if (!commit || !is_there(cache.snapshot(model, *commit))) return std::nullopt;
  return cache.snapshot(model, *commit);
}

fs::path resolve_model(const std::string& model, ModelParts parts) {
  if (model.empty()) throw usage_error("--model DIR or ORG/NAME is missing");
  const bool exists = is_there(model);
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return checked_folder(model);
  if (exists)
    throw bad_input("{}: --model should name the model's folder, not a file in it", model);
  if (const auto named = parse_hub_model(model)) return hub_model(*named, parts);
  throw bad_input(
      "{}: there is no such folder. Download the model first, or name one of the Hugging Face Hub "
      "as ORG/NAME or ORG/NAME@REVISION",
      model);
}

fs::path tokenizer_file(const fs::path& model_folder) {
  fs::path file = model_folder / "tokenizer.json";
  if (!is_there(file)) {
    throw bad_input(
        "{}: the model has no tokenizer.json. Copy it there from the model's page; rows that are "
        "already "
        "tokenized ({{\"input_ids\": [...]}}) need none.",
        model_folder.string());
  }
  return file;
}

}  // namespace loadline
