// One HTTP request, by libcurl. Follows no redirect and repeats nothing: whoever asks decides that.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>

namespace loadline {

struct HttpSettings {
  std::chrono::seconds connect_timeout{10};
  // A transfer that brings nothing for so long has stalled.
  std::chrono::seconds stall_timeout{10};
  std::string ca_file;  // certificates to trust; empty: the system's
  std::function<bool()>
      stop;  // asked about once a second, from the requesting thread; may be empty
};

struct HttpRequest {
  std::string url;
  bool head = false;       // HEAD instead of GET
  std::uint64_t from = 0;  // ask for the bytes from here on (Range)
  std::string token{};     // for "Authorization: Bearer"; empty: none
};

struct HttpAnswer {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; of several, the last

  // "" when it is not there.
  [[nodiscard]] std::string header(const std::string& name) const;
  [[nodiscard]] bool good() const { return status == 200 || status == 206; }
};

// No answer, or not all of it.
struct HttpFailure {
  enum class Kind {
    kUnreachable,  // no such host, nobody listens there
    kUntrusted,    // its certificate is not good
    kBroken,       // the connection ended or stalled: it may be worth another try
    kUnusable,     // the URL is none, or its protocol is not allowed
  };
  Kind kind = Kind::kBroken;
  std::string reason;
};

using HttpResult = std::variant<HttpAnswer, HttpFailure>;

// Takes the body of a good answer, piece by piece; what it throws ends the request and comes out of
// run().
using BodySink = std::function<void(const HttpAnswer& answer, std::span<const std::byte> piece)>;

// Keeps its connections between requests. For one thread.
class HttpSession {
 public:
  explicit HttpSession(HttpSettings settings);
  HttpSession(HttpSession&&) noexcept;
  ~HttpSession();

  // Throws Error(kInterrupted) when settings.stop() says so.
  [[nodiscard]] HttpResult run(const HttpRequest& request, const BodySink& sink);

 private:
  struct Handle;
  HttpSettings settings_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace loadline
