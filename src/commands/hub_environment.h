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
};

// Throws Error(kEnvironment) when no variable says where the cache is, HOME neither.
HubEnvironment read_hub_environment();

}  // namespace loadline
