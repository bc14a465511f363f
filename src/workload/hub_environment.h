// What the environment says about the Hugging Face Hub: the variables that its Python client reads.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace loadline {

// What every command with a model of the Hub needs.
struct HubEnvironment {
  // HF_HUB_CACHE, else HF_HOME/hub, else $XDG_CACHE_HOME (or ~/.cache)/huggingface/hub.
  std::filesystem::path cache;
  // HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE: 1, true, yes or on.
  bool offline = false;
};

// What only a download needs.
struct HubAccess {
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT, without a slash at its end
  // HF_TOKEN, else what the file HF_TOKEN_PATH (or HF_HOME/token) holds, unless
  // HF_HUB_DISABLE_IMPLICIT_TOKEN is set. Empty: none.
  std::string token;
  // HF_HUB_DOWNLOAD_TIMEOUT: of a transfer that brings nothing. Of a fraction the next whole one.
  std::chrono::seconds timeout{10};
  std::string ca_file;  // REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE
};

// Throws Error(kEnvironment) when no variable says where the cache is, HOME neither.
HubEnvironment read_hub_environment();

// Throws Error(kUsage) naming the variable whose value is none, and what read_file throws for a
// token's file that is there and cannot be read.
HubAccess read_hub_access();

}  // namespace loadline
