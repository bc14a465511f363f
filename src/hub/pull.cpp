#include "hub/pull.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/data_file.h"
#include "base/error.h"
#include "base/file.h"
#include "checkpoint/weight_index.h"
#include "hub/blob.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostWorkers = 8;
constexpr std::chrono::milliseconds kBetweenViews{200};

// What the workers share with the thread that watches them.
class Crew {
 public:
  using Work = std::function<void(HubClient& client, std::size_t index)>;

  Crew(const HubSettings& settings, const PullView& view, const PullCounters& counters)
      : settings_(settings), view_(view), counters_(counters) {
    settings_.http.stop = [this, outer = settings.http.stop] {
      return failed_ || (outer && outer());
    };
    settings_.note = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      notes_.push_back(text);
    };
  }

  // Calls work(client, i) for each i below `count`, by several threads. The first error stops all
  // of them and is thrown here.
  void run(std::size_t count, const Work& work) {
    next_ = 0;
    working_ = std::min(count, kMostWorkers);
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < std::min(count, kMostWorkers); ++i) {
      workers.emplace_back([this, count, &work] { labour(count, work); });
    }
    watch();
    workers.clear();  // joins
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void labour(std::size_t count, const Work& work) {
    try {
      HubClient client(settings_);
      for (std::size_t i = next_++; i < count && !failed_; i = next_++) work(client, i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      failed_ = true;
    }
    const std::lock_guard lock(mutex_);
    --working_;
    ended_.notify_one();
  }

  void watch() {
    for (bool working = true; working;) {
      std::vector<std::string> notes;
      {
        std::unique_lock lock(mutex_);
        ended_.wait_for(lock, kBetweenViews, [this] { return working_ == 0; });
        working = working_ > 0;
        notes.swap(notes_);
      }
      for (const std::string& text : notes) {
        if (view_.line) view_.line(text);
      }
      if (view_.progress) view_.progress(snapshot());
    }
  }

  [[nodiscard]] PullProgress snapshot() const {
    return {.total = counters_.total,
            .done = counters_.done,
            .received = counters_.received,
            .files = counters_.files,
            .files_done = counters_.files_done};
  }

  HubSettings settings_;
  const PullView& view_;
  const PullCounters& counters_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<std::string> notes_;  // guarded by mutex_
  std::size_t working_ = 0;         // guarded by mutex_ while workers are there
  std::exception_ptr error_;        // guarded by mutex_ while workers are there
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
};

void require_space(const HubCache& cache, const HubModel& model, const std::string& commit,
                   const std::vector<HubFile>& files) {
  std::uint64_t needed = 0;
  for (const HubFile& file : files) {
    if (__builtin_add_overflow(needed, bytes_to_fetch(cache, model, commit, file), &needed)) {
      throw bad_input("{}: the sizes that the Hub says have no sum", model.text());
    }
  }
  make_folder(cache.root());
  const Bytes free = free_disk(cache.root());
  if (Bytes{needed} > free) {
    throw environment_error(
        "{}: needs {} more, but {} has {} free. Make room, or let HF_HUB_CACHE name a folder on "
        "another disk",
        model.text(), to_string(Bytes{needed}), cache.root().string(), to_string(free));
  }
}

class Pull {
 public:
  Pull(const HubModel& model, const HubCache& cache, const HubSettings& settings,
       const PullView& view, HubListing listing)
      : model_(model),
        cache_(cache),
        listing_(std::move(listing)),
        crew_(settings, view, counters_) {}

  void fetch(const std::vector<std::string>& names) {
    std::vector<HubFile> files(names.size());
    crew_.run(names.size(), [&](HubClient& client, std::size_t i) {
      files[i] = client.file(model_, listing_, names[i]);
    });
    require_space(cache_, model_, listing_.commit, files);
    // The largest first: the last to end should be a small one.
    std::sort(files.begin(), files.end(),
              [](const HubFile& a, const HubFile& b) { return a.size > b.size; });
    for (const HubFile& file : files) counters_.total += file.size;
    counters_.files += files.size();
    crew_.run(files.size(), [&](HubClient& client, std::size_t i) {
      fetch_blob(client, cache_, model_, listing_.commit, files[i], counters_);
      const auto has_etag = [&](const HubFile& file) { return file.etag == files[i].etag; };
      const bool is_shared = std::count_if(files.begin(), files.end(), has_etag) > 1;
      cache_.link(model_, listing_.commit, files[i].name, files[i].etag, is_shared);
    });
    report_.files.insert(report_.files.end(), files.begin(), files.end());
  }

  PullReport finish() {
    for (const char* file : kModelTextFiles) {
      if (!listing_.files.contains(file)) cache_.remember_absent(model_, listing_.commit, file);
    }
    cache_.set_ref(model_, listing_.commit);
    report_.commit = listing_.commit;
    report_.snapshot = cache_.snapshot(model_, listing_.commit);
    report_.received = counters_.received;
    return std::move(report_);
  }

 private:
  const HubModel& model_;
  const HubCache& cache_;
  HubListing listing_;
  PullCounters counters_;
  Crew crew_;
  PullReport report_;
};

}  // namespace

PullReport pull_model(const HubModel& model, ModelParts parts, const HubCache& cache,
                      const HubSettings& settings, const PullView& view) {
  HubSettings asking = settings;
  asking.note = view.line;
  HubListing listing = HubClient(asking).listing(model);
  const std::vector<std::string> first = files_to_fetch(listing, parts, model);
  const fs::path snapshot = cache.snapshot(model, listing.commit);
  Pull pull(model, cache, settings, view, std::move(listing));
  pull.fetch(first);
  if (std::find(first.begin(), first.end(), kWeightIndexFile) != first.end()) {
    const std::set<std::string> shards = weight_shards(snapshot / kWeightIndexFile);
    pull.fetch({shards.begin(), shards.end()});
  }
  return pull.finish();
}

}  // namespace loadline
