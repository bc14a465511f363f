#include "hub/client.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "hub/url.h"

namespace loadline {
namespace {

using std::chrono::milliseconds;

constexpr int kMostRedirects = 10;
constexpr std::size_t kLongestListing = std::size_t{64} << 20;
constexpr milliseconds kLongestPause{30'000};
constexpr std::uint64_t kMostSecondsToWait = 300;

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool may_pass(long status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// From a server, into a message: no control characters, not endless.
std::string quoted(std::string text) {
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  for (char& c : text) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

// W/"x", "x" and x are the same.
std::string plain_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

std::optional<std::uint64_t> size_of(const HttpAnswer& answer, const ListedFile& listed) {
  if (const auto linked = whole_number(answer.header("x-linked-size"))) return linked;
  if (listed.size) return listed.size;
  return answer.good() ? whole_number(answer.header("content-length")) : std::nullopt;
}

}  // namespace

HubClient::HubClient(HubSettings settings)
    : settings_(std::move(settings)), session_(settings_.http) {
  const auto origin = origin_of(settings_.endpoint);
  if (!origin) {
    throw usage_error("HF_ENDPOINT {}: should be a URL such as https://huggingface.co",
                      settings_.endpoint);
  }
  origin_ = *origin;
}

HubListing HubClient::listing(const HubModel& model) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings_.endpoint,
                                      model.repository, percent_encoded(model.revision));
  std::string text;
  const auto make = [&] {
    text.clear();
    return HttpRequest{.url = url};
  };
  (void)persist(model, "", make, [&](const HttpAnswer&, std::span<const std::byte> piece) {
    if (text.size() + piece.size() > kLongestListing) {
      throw bad_input("{}: the list of files is longer than {} MiB", url, kLongestListing >> 20);
    }
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return parse_hub_listing(text, url);
}

std::string HubClient::file_url(const HubModel& model, const std::string& commit,
                                const std::string& name) const {
  std::string path;
  for (const auto& part : std::filesystem::path(name)) {
    path.append("/").append(percent_encoded(part.string()));
  }
  return fmt::format("{}/{}/resolve/{}{}", settings_.endpoint, model.repository, commit, path);
}

HubFile HubClient::file(const HubModel& model, const HubListing& listing, const std::string& name) {
  const auto listed = listing.files.find(name);
  if (listed == listing.files.end()) {
    throw bad_input("{}: the Hub lists no {}, but the model's index names it", model.text(), name);
  }
  const std::string url = file_url(model, listing.commit, name);
  const HttpAnswer answer = persist(
      model, name, [&] { return HttpRequest{.url = url, .head = true}; },
      [](const HttpAnswer&, std::span<const std::byte>) {});
  HubFile file{.name = name, .sha256 = listed->second.sha256};
  const std::string linked = answer.header("x-linked-etag");
  file.etag = plain_etag(linked.empty() ? answer.header("etag") : linked);
  if (!is_plain_etag(file.etag)) {
    throw bad_input("{}: the Hub names its content '{}', which cannot be the name of a file", url,
                    quoted(file.etag));
  }
  const auto size = size_of(answer, listed->second);
  if (!size) throw bad_input("{}: the Hub does not say how long the file is", url);
  file.size = *size;
  if (file.sha256.empty() && is_hex(file.etag, 64)) file.sha256 = file.etag;
  if (file.sha256.empty() && listed->second.git_object == file.etag) file.git_object = file.etag;
  if (!file.sha256.empty() && is_hex(file.etag, 64) && file.etag != file.sha256) {
    throw bad_input("{}: the Hub lists SHA-256 {}, but the file is said to have {}", url,
                    file.sha256, file.etag);
  }
  return file;
}

HttpAnswer HubClient::content(const HubModel& model, const std::string& commit,
                              const std::string& name, const std::function<std::uint64_t()>& from,
                              const BodySink& sink) {
  const std::string url = file_url(model, commit, name);
  return persist(
      model, name, [&] { return HttpRequest{.url = url, .from = from()}; }, sink);
}

// The token goes to the endpoint's own origin only, whatever leads elsewhere.
HttpResult HubClient::follow(HttpRequest request, const BodySink& sink) {
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    const bool ours = origin_of(request.url) == origin_;
    request.token = ours ? settings_.token : "";
    HttpResult result = session_.run(request, sink);
    const auto* answer = std::get_if<HttpAnswer>(&result);
    if (answer == nullptr) return result;
    reached_ = true;
    if (!is_redirect(answer->status)) return result;
    const auto target = redirect_target(request.url, answer->header("location"));
    if (!target) {
      return HttpFailure{HttpFailure::Kind::kUnusable,
                         fmt::format("it leads to '{}', which is not followed",
                                     quoted(answer->header("location")))};
    }
    // What the Hub says of a file stands in its own answer, not in that of the store behind it.
    const bool described = !answer->header("x-linked-etag").empty();
    if (request.head && (described || origin_of(*target) != origin_)) return result;
    request.url = *target;
  }
  return HttpFailure{HttpFailure::Kind::kUnusable,
                     fmt::format("it leads on more than {} times", kMostRedirects)};
}

HttpAnswer HubClient::persist(const HubModel& model, const std::string& what,
                              const std::function<HttpRequest()>& make, const BodySink& sink) {
  const std::string subject = what.empty() ? model.text() : model.text() + ": " + what;
  std::uint64_t gained = 0;
  for (int attempt = 1;; ++attempt) {
    const HttpRequest request = make();
    if (request.from > gained) attempt = 1;
    gained = std::max(gained, request.from);
    const HttpResult result = follow(request, sink);
    const auto* failed = std::get_if<HttpFailure>(&result);
    const auto* answer = std::get_if<HttpAnswer>(&result);
    if (failed != nullptr) {
      const bool again = failed->kind == HttpFailure::Kind::kBroken ||
                         (failed->kind == HttpFailure::Kind::kUnreachable && reached_);
      if (!again || attempt >= settings_.attempts) throw failure(subject, *failed);
    } else if (answer->good() || (request.head && is_redirect(answer->status)) ||
               (answer->status == 416 && request.from > 0)) {
      return *answer;
    } else if (!may_pass(answer->status) || attempt >= settings_.attempts) {
      throw refusal(model, what, *answer);
    }
    const milliseconds time = pause_after(attempt, answer);
    note(fmt::format("{}: {}; trying again in {:.1f} s", subject,
                     failed != nullptr ? quoted(failed->reason)
                                       : fmt::format("the Hub answers {}", answer->status),
                     static_cast<double>(time.count()) / 1000));
    pause(time);
  }
}

// Doubled each time, and a little different for each client, so that they do not come back at once.
milliseconds HubClient::pause_after(int attempt, const HttpAnswer* answer) {
  const auto asked = answer == nullptr ? std::nullopt : whole_number(answer->header("retry-after"));
  if (asked) return std::chrono::seconds(std::min(*asked, kMostSecondsToWait));
  const milliseconds doubled = settings_.first_pause * (1 << std::min(attempt - 1, 16));
  const double share = std::uniform_real_distribution<double>(0.75, 1.25)(random_);
  return std::chrono::duration_cast<milliseconds>(std::min(doubled, kLongestPause) * share);
}

bool HubClient::stopped() const { return settings_.http.stop && settings_.http.stop(); }

void HubClient::pause(milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!stopped() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::min(time, milliseconds(20)));
  }
  if (stopped()) {
    throw Error(ErrorKind::kInterrupted, "the download was stopped. The same command goes on.");
  }
}

void HubClient::note(const std::string& text) const {
  if (settings_.note) settings_.note(text);
}

Error HubClient::refusal(const HubModel& model, const std::string& what,
                         const HttpAnswer& answer) const {
  const std::string code = answer.header("x-error-code");
  const std::string& hub = settings_.endpoint;
  if (code == "GatedRepo") {
    return environment_error(
        "{}: is gated: accept its conditions at {}/{} and give a token of that account in HF_TOKEN",
        model.text(), hub, model.repository);
  }
  if (code == "RevisionNotFound") {
    return bad_input("{}: {} has no revision '{}' of {}", model.text(), hub, model.revision,
                     model.repository);
  }
  if (code == "RepoNotFound" || (answer.status == 404 && what.empty())) {
    const bool may_be_revision = code.empty() && !model.is_main();
    return bad_input(
        "{}: there is no such folder here, and {} has no such model{}. If it is a private one, "
        "give a token that may read it in HF_TOKEN",
        model.text(), hub,
        may_be_revision ? fmt::format(", or no revision '{}' of it", model.revision) : "");
  }
  if (answer.status == 404) return bad_input("{}: {} has no file {}", model.text(), hub, what);
  if (answer.status == 401 || answer.status == 403) {
    return environment_error(
        "{}: {} refuses it ({}{}{}). {}", model.text(), hub, answer.status,
        answer.header("x-error-message").empty() ? "" : ", ",
        quoted(answer.header("x-error-message")),
        settings_.token.empty()
            ? "Give a token that may read it in HF_TOKEN"
            : "Is the token in HF_TOKEN still good, and may it read this model?");
  }
  return environment_error("{}: {} answers {}{}. Try again later: what was downloaded stays",
                           model.text(), hub, answer.status,
                           answer.status == 429 ? " (too many requests)" : "");
}

Error HubClient::failure(const std::string& what, const HttpFailure& failed) const {
  const std::string reason = quoted(failed.reason);
  switch (failed.kind) {
    case HttpFailure::Kind::kUnreachable:
      return environment_error(
          "{}: {} cannot be reached: {}. A model that is in a folder, or whole in the Hub's cache, "
          "needs no network",
          what, settings_.endpoint, reason);
    case HttpFailure::Kind::kUntrusted:
      return environment_error(
          "{}: {} is not trusted: {}. Where a company's own certificates stand between, name their "
          "file in CURL_CA_BUNDLE",
          what, settings_.endpoint, reason);
    case HttpFailure::Kind::kBroken:
      return environment_error(
          "{}: the connection to {} broke {} times: {}. The same command goes on where it stopped",
          what, settings_.endpoint, settings_.attempts, reason);
    case HttpFailure::Kind::kUnusable:
      break;
  }
  return environment_error("{}: {} cannot be used: {}", what, settings_.endpoint, reason);
}

}  // namespace loadline
