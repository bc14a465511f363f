// An HTTP server on 127.0.0.1 for tests, which can misbehave.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace loadline::testing {

struct Request {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  [[nodiscard]] std::string header(const std::string& name) const;
};

struct Reply {
  int status = 200;
  std::map<std::string, std::string> headers;
  std::string body;
  std::optional<std::size_t> cut_after{};    // the connection ends after so many bytes of the body
  std::optional<std::size_t> stall_after{};  // nothing comes after so many, and nothing ends
};

class LoopbackServer {
 public:
  using Handler = std::function<Reply(const Request&)>;

  // `handler` is called by several threads at once.
  explicit LoopbackServer(Handler handler);
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  ~LoopbackServer();

  [[nodiscard]] std::string url() const;  // "http://127.0.0.1:PORT"
  // All that were asked so far, in their order.
  [[nodiscard]] std::vector<Request> requests() const;

 private:
  void accept_all();
  void serve(int peer);
  void send_reply(int peer, const Request& request, const Reply& reply) const;

  Handler handler_;
  FileDescriptor listener_;
  int port_ = 0;
  std::atomic<bool> ending_{false};
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

}  // namespace loadline::testing
