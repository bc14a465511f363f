// What the environment says about the Hugging Face Hub: the variables that its Python client reads.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace loadline {

struct HubEnvironment {
  // HF_HUB_CACHE, else HF_HOME/hub, else $XDG_CACHE_HOME (or ~/.cache)/huggingface/hub.
  std::filesystem::path cache;
  // HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE: 1, true, yes or on.
  bool offline = false;
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT, without a slash at its end
  // HF_TOKEN, else what the file HF_TOKEN_PATH (or HF_HOME/token) holds, unless
  // HF_HUB_DISABLE_IMPLICIT_TOKEN is set. Empty: none.
  std::string token;
  std::chrono::seconds timeout{10};  // HF_HUB_DOWNLOAD_TIMEOUT: of a transfer that brings nothing
  std::string ca_file;               // REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE
};

// Throws Error(kEnvironment) when no variable says where the cache is, HOME neither, and
// Error(kUsage) naming the variable whose value is none.
HubEnvironment read_hub_environment();

}  // namespace loadline
