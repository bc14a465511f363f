// The cache where it can be written, and what stands for it where it cannot.
#pragma once

#include <filesystem>
#include <string>

namespace loadline {

// cache_folder() / `name`, made. Where nothing can be written there, a temporary folder that lives
// as long as this process: said once on stderr.
std::filesystem::path writable_cache(const std::string& name);

}  // namespace loadline
