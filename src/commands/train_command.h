// What a run of `loadline train` was started with, kept in its folder, so that
// `loadline train --resume --adapter-path DIR` goes on with it. docs/training-state.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "commands/train_options.h"
#include "training/settings.h"

namespace loadline {

struct TrainCommand {
  TrainOptions options;
  std::vector<std::string> words;           // that make them: Flags::typed()
  std::vector<std::string> from_file = {};  // the flags of these that a -c file says, not the user
  // The flags that say otherwise than those that the run was started with.
  std::vector<std::string> changed = {};
  std::vector<std::string> notes = {};  // for people: what --resume does not take as it is said
};

// The command as it was typed; with --resume that of the run that is there: what is typed wins over
// it, and so does what a -c file says over what such a file said then, not over what was typed
// then. A model of the Hub is the commit that it was then, also where its revision has moved on.
// Throws Error(kUsage) where the folder does not say it and the typed one is not whole, and
// Error(kBadInput) naming the flag where a file of it is gone.
TrainCommand continued(const TrainCommand& typed);

// Keeps, for a run of these settings, the words that make them again: what a profile, a table or an
// adapter said is typed out, and paths are absolute. And which of their flags a -c file said, and
// which commit a model of the Hub was.
void keep_command(const std::vector<std::string>& words, const TrainingSettings& settings,
                  const std::vector<std::string>& from_file = {});

// For people: what to type to go on with the run in `adapter_path`.
std::string resume_command(const std::filesystem::path& adapter_path);

}  // namespace loadline
