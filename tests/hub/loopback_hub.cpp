#include "hub/loopback_hub.h"

#include <atomic>
#include <memory>

#include "base/digest.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

namespace loadline::testing {
namespace {

std::string git_object(const std::string& content) {
  Digest digest(Digest::Kind::kSha1);
  digest.add("blob " + std::to_string(content.size()) + '\0');
  digest.add(content);
  return digest.hex();
}

// The content, or its part from where "Range: bytes=N-" says.
Reply content_reply(const std::string& content, const Request& request) {
  const std::string range = request.header("range");
  if (range.empty()) return {.status = 200, .headers = {}, .body = content};
  const std::size_t from = std::stoul(range.substr(std::string("bytes=").size()));
  if (from >= content.size()) return {.status = 416, .headers = {}, .body = ""};
  const std::string part = fmt::format("bytes {}-{}/{}", from, content.size() - 1, content.size());
  return {.status = 206, .headers = {{"Content-Range", part}}, .body = content.substr(from)};
}

}  // namespace

LoopbackHub::LoopbackHub()
    : store_([this](const Request& request) { return answer_from_store(request); }),
      hub_([this](const Request& request) { return answer(request); }) {}

void LoopbackHub::put(const std::string& name, const std::string& content, bool large) {
  const std::string object = git_object(content);
  files_[name] = {content, large ? sha256_hex(content) : object, object, large};
}

void LoopbackHub::hub_fault(Fault fault) {
  const std::lock_guard lock(mutex_);
  hub_fault_ = std::move(fault);
}

void LoopbackHub::store_fault(Fault fault) {
  const std::lock_guard lock(mutex_);
  store_fault_ = std::move(fault);
}

std::vector<std::string> LoopbackHub::asked_for(const std::string& part) const {
  std::vector<std::string> asked;
  for (const auto& requests : {hub_requests(), store_requests()}) {
    for (const Request& request : requests) {
      if (request.target.find(part) == std::string::npos) continue;
      asked.push_back(request.method + " " + request.target);
    }
  }
  return asked;
}

std::string LoopbackHub::etag(const std::string& name) const { return files_.at(name).etag; }

Reply LoopbackHub::with_fault(const Fault& fault, const Request& request, Reply reply) const {
  Fault copy;
  {
    const std::lock_guard lock(mutex_);
    copy = fault;
  }
  if (copy) copy(request, reply);
  return reply;
}

Reply LoopbackHub::listing() const {
  Json document{{"id", "org/name"}, {"sha", kCommit}, {"siblings", Json::array()}};
  for (const auto& [name, file] : files_) {
    Json entry{{"rfilename", name}, {"size", file.content.size()}, {"blobId", file.git_object}};
    if (file.large) entry["lfs"] = {{"sha256", file.etag}, {"size", file.content.size()}};
    document["siblings"].push_back(std::move(entry));
  }
  return {.status = 200, .headers = {}, .body = document.dump()};
}

Reply LoopbackHub::answer(const Request& request) {
  Reply reply{.status = 404, .headers = {{"X-Error-Code", "EntryNotFound"}}, .body = "no"};
  const std::string files = fmt::format("/org/name/resolve/{}/", kCommit);
  if (request.target.starts_with("/api/models/org/name/revision/")) {
    reply = listing();
  } else if (request.target.starts_with(files) &&
             files_.contains(request.target.substr(files.size()))) {
    const File& file = files_.at(request.target.substr(files.size()));
    if (file.large) {
      reply = {.status = 302,
               .headers = {{"Location", store_.url() + "/" + file.etag},
                           {"X-Linked-Etag", '"' + file.etag + '"'},
                           {"X-Linked-Size", std::to_string(file.content.size())}},
               .body = ""};
    } else {
      reply = content_reply(file.content, request);
      reply.headers["ETag"] = '"' + file.etag + '"';
    }
    reply.headers["X-Repo-Commit"] = kCommit;
  }
  return with_fault(hub_fault_, request, std::move(reply));
}

Reply LoopbackHub::answer_from_store(const Request& request) {
  for (const auto& entry : files_) {
    if (request.target != "/" + entry.second.etag) continue;
    return with_fault(store_fault_, request, content_reply(entry.second.content, request));
  }
  return {.status = 404, .headers = {}, .body = ""};
}

LoopbackHub::Fault only_first(int times, LoopbackHub::Fault fault) {
  auto left = std::make_shared<std::atomic<int>>(times);
  return [left, fault = std::move(fault)](const Request& request, Reply& reply) {
    if ((*left)-- > 0) fault(request, reply);
  };
}

}  // namespace loadline::testing
