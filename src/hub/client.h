// The requests to the Hub: its token stays with it, its refusals become errors, and what may pass
// is tried again.
#pragma once

#include <chrono>
#include <functional>
#include <random>
#include <string>

#include "base/error.h"
#include "hub/http.h"
#include "hub/listing.h"
#include "hub/name.h"

namespace loadline {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // no slash at its end
  std::string token;                                // sent to the endpoint's origin and to no other
  HttpSettings http;
  int attempts = 5;                              // in a row without a byte gained
  std::chrono::milliseconds first_pause{1000};   // doubled after each attempt
  std::function<void(const std::string&)> note;  // "trying again in 2 s: ..."; from any thread
};

// How the Hub describes one file of one commit.
struct HubFile {
  std::string name;
  std::string etag{};  // a plain file name
  std::uint64_t size = 0;
  std::string sha256{};      // 64 digits, or "": then
  std::string git_object{};  // 40 digits, or "": only the size is known
};

class HubClient {
 public:
  // Throws Error(kUsage) when the endpoint is no http or https URL.
  explicit HubClient(HubSettings settings);

  // Errors of all three: kBadInput where the model, the revision or the file does not exist or the
  // answer is malformed; kEnvironment where the model is gated, the token is refused, the
  // certificate is not trusted, the network or the Hub fails for too long; kInterrupted.
  [[nodiscard]] HubListing listing(const HubModel& model);
  [[nodiscard]] HubFile file(const HubModel& model, const HubListing& listing,
                             const std::string& name);
  // Sends the file's bytes from `from()` on, which is asked before each attempt, to `sink`. The
  // answer may be 200, from the beginning, although a part was asked for. Returns the last answer:
  // 200, 206, or 416 when there is nothing from there on.
  HttpAnswer content(const HubModel& model, const std::string& commit, const std::string& name,
                     const std::function<std::uint64_t()>& from, const BodySink& sink);

  [[nodiscard]] bool stopped() const;
  // Waits, but not when stopped() or longer than that.
  void pause(std::chrono::milliseconds time) const;
  void note(const std::string& text) const;

 private:
  [[nodiscard]] std::string file_url(const HubModel& model, const std::string& commit,
                                     const std::string& name) const;
  [[nodiscard]] HttpResult follow(HttpRequest request, const BodySink& sink);
  [[nodiscard]] HttpAnswer persist(const HubModel& model, const std::string& what,
                                   const std::function<HttpRequest()>& make, const BodySink& sink);
  [[nodiscard]] std::chrono::milliseconds pause_after(int attempt, const HttpAnswer* answer);
  [[nodiscard]] Error refusal(const HubModel& model, const std::string& what,
                              const HttpAnswer& answer) const;
  [[nodiscard]] Error failure(const std::string& what, const HttpFailure& failed) const;

  HubSettings settings_;
  std::string origin_;
  HttpSession session_;
  bool reached_ = false;  // the endpoint has answered once
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace loadline
