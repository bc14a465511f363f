// A cap by the user's own systemd, where this process may not make control groups itself: each
// trial becomes a transient scope.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "machine/cap.h"

namespace loadline {

// Throws Error(kEnvironment) with the reason when there is no session bus, no systemd-run, or when
// a scope that was started on trial was not held at its ceiling.
std::unique_ptr<Cap> make_systemd_scope(Bytes ceiling, std::string_view label,
                                        const std::filesystem::path& root);

}  // namespace loadline
