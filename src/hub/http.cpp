#include "hub/http.h"

#include <curl/curl.h>

#include <csignal>
#include <ctime>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace loadline {
namespace {

constexpr std::size_t kMostHeaders = 200;
constexpr std::size_t kMostOfARefusal = std::size_t{64} << 10;

// Before any thread is there: curl's own rule.
void start_curl() {
  static const CURLcode kStarted = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kStarted != CURLE_OK) throw environment_error("libcurl cannot be started");
}

// What the callbacks of one request share.
struct Transfer {
  CURL* curl = nullptr;
  const BodySink* sink = nullptr;
  const std::function<bool()>* stop = nullptr;
  HttpAnswer answer{};
  std::size_t refusal_bytes = 0;
  bool stopped = false;
  std::exception_ptr thrown{};
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return lower;
}

// Exceptions must not pass through libcurl, which is C: any end is a refusal of the piece.
std::size_t on_header(char* data, std::size_t /*one*/, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  try {
    const std::string_view line(data, size);
    auto& headers = transfer.answer.headers;
    if (line.starts_with("HTTP/")) headers.clear();  // of "100 Continue"
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return size;
    if (headers.size() >= kMostHeaders) return 0;
    headers[lower_case(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
    return size;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 0;
  }
}

std::size_t on_body(char* data, std::size_t /*one*/, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  try {
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
    if (transfer.answer.good()) {
      (*transfer.sink)(transfer.answer, std::as_bytes(std::span(data, size)));
      return size;
    }
    transfer.refusal_bytes += size;
    return transfer.refusal_bytes > kMostOfARefusal ? 0 : size;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 0;
  }
}

int on_progress(void* context, curl_off_t /*down*/, curl_off_t /*of*/, curl_off_t /*up*/,
                curl_off_t /*of*/) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.stopped = *transfer.stop && (*transfer.stop)();
  return transfer.stopped ? 1 : 0;
}

HttpFailure::Kind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return HttpFailure::Kind::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpFailure::Kind::kUntrusted;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return HttpFailure::Kind::kUnusable;
    default:
      return HttpFailure::Kind::kBroken;
  }
}

// Headers of a request, freed with it.
class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list_); }
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  [[nodiscard]] curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// OpenSSL writes into a connection that the other side has broken with a plain write(2), and
// libcurl, asked to leave signals alone since it runs in several threads, does not hold the SIGPIPE
// of it. This thread does, for as long as this lives.
class NoBrokenPipes {
 public:
  NoBrokenPipes() {
    sigemptyset(&broken_pipe_);
    sigaddset(&broken_pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe_, &before_);
  }
  NoBrokenPipes(const NoBrokenPipes&) = delete;
  NoBrokenPipes& operator=(const NoBrokenPipes&) = delete;
  ~NoBrokenPipes() {
    constexpr timespec kNow{};
    while (sigtimedwait(&broken_pipe_, nullptr, &kNow) == SIGPIPE) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t broken_pipe_{};
  sigset_t before_{};
};

void apply(CURL* curl, const HttpSettings& settings) {
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!settings.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, settings.ca_file.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "loadline/" LOADLINE_VERSION);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                   static_cast<long>(settings.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings.stall_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

}  // namespace

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

struct HttpSession::Handle {
  Handle() : curl(curl_easy_init()) {
    if (curl == nullptr) throw std::bad_alloc();
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    const NoBrokenPipes no_broken_pipes;
    curl_easy_cleanup(curl);
  }
  CURL* curl;
};

HttpSession::HttpSession(HttpSettings settings) : settings_(std::move(settings)) {
  start_curl();
  handle_ = std::make_unique<Handle>();
  apply(handle_->curl, settings_);
}

HttpSession::HttpSession(HttpSession&&) noexcept = default;
HttpSession::~HttpSession() = default;

HttpResult HttpSession::run(const HttpRequest& request, const BodySink& sink) {
  CURL* curl = handle_->curl;
  Transfer transfer{.curl = curl, .sink = &sink, .stop = &settings_.stop};
  HeaderList headers;
  // What is stored and counted are the file's own bytes.
  headers.add("Accept-Encoding: identity");
  if (!request.token.empty()) headers.add(fmt::format("Authorization: Bearer {}", request.token));
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOBODY, request.head ? 1L : 0L);
  if (!request.head) curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  const std::string range = fmt::format("{}-", request.from);
  curl_easy_setopt(curl, CURLOPT_RANGE, request.from == 0 ? nullptr : range.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  const NoBrokenPipes no_broken_pipes;
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (transfer.stopped) {
    throw Error(ErrorKind::kInterrupted, "the download was stopped. The same command goes on.");
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  const bool refused = transfer.answer.status >= 300 && !transfer.answer.good();
  if (code == CURLE_OK || (refused && code == CURLE_WRITE_ERROR)) return transfer.answer;
  return HttpFailure{kind_of(code), *reason == '\0' ? curl_easy_strerror(code) : reason};
}

}  // namespace loadline
