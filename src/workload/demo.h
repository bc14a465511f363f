// The demo's model and data, carried inside the program.
#pragma once

#include <filesystem>

namespace loadline {

// Folders in the cache, written there when they are not yet.
std::filesystem::path demo_model();
std::filesystem::path demo_data();

}  // namespace loadline
