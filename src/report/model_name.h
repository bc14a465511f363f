// A model as people call it.
#pragma once

#include <string>

namespace loadline {

// "NAME" of a folder's path, of ORG/NAME[@REVISION], and of a snapshot in the Hub's cache
// (models--ORG--NAME/snapshots/COMMIT); "model" where that is nothing.
std::string model_name(const std::string& model);

}  // namespace loadline
