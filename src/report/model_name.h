// A model as people call it.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

// "NAME" of a folder's path, of ORG/NAME[@REVISION], and of a snapshot in the Hub's cache
// (models--ORG--NAME/snapshots/COMMIT); "model" where that is nothing.
std::string model_name(const std::string& model);

// A-Z a-z 0-9 . _ -, which nobody has to quote.
bool is_plain(char c);
// A text of these alone, a dash in place of all else between them; neither a dot nor a dash first,
// no dash last. May be empty.
std::string plain_name(std::string_view text);

}  // namespace loadline
