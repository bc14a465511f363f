// A Hugging Face Hub on loopback with one model, org/name, and, on another port, the store that it
// sends its clients to for large files.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "hub/loopback_server.h"

namespace loadline::testing {

class LoopbackHub {
 public:
  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";
  // May change what would be answered.
  using Fault = std::function<void(const Request&, Reply&)>;

  LoopbackHub();

  // `large`: in large file storage, known by its SHA-256; else by Git's SHA-1. Before any request.
  void put(const std::string& name, const std::string& content, bool large = false);
  void hub_fault(Fault fault);
  void store_fault(Fault fault);

  [[nodiscard]] std::string url() const { return hub_.url(); }
  [[nodiscard]] std::vector<Request> hub_requests() const { return hub_.requests(); }
  [[nodiscard]] std::vector<Request> store_requests() const { return store_.requests(); }
  // "METHOD TARGET" of all requests whose target has `part`.
  [[nodiscard]] std::vector<std::string> asked_for(const std::string& part) const;
  // What the cache calls the file.
  [[nodiscard]] std::string etag(const std::string& name) const;

 private:
  struct File {
    std::string content, etag, git_object;
    bool large = false;
  };
  [[nodiscard]] Reply listing() const;
  [[nodiscard]] Reply answer(const Request& request);
  [[nodiscard]] Reply answer_from_store(const Request& request);
  [[nodiscard]] Reply with_fault(const Fault& fault, const Request& request, Reply reply) const;

  std::map<std::string, File> files_;
  mutable std::mutex mutex_;
  Fault hub_fault_, store_fault_;
  LoopbackServer store_;
  LoopbackServer hub_;
};

// A fault that comes the first `times` times that it is asked for.
LoopbackHub::Fault only_first(int times, LoopbackHub::Fault fault);

}  // namespace loadline::testing
