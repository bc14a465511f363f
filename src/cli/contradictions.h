// Flags that exclude each other, and which of them gives way: a file's to what is typed, those that
// a run was started with to those that it is resumed with. The commands refuse what is left.
#pragma once

#include <string>
#include <vector>

namespace loadline {

struct GivenFlag {
  std::string name;   // its first one: "--lora-layers"
  std::string value;  // "true" of a toggle that stands alone
};

// The names of `weaker` flags that contradict what stronger ones say, or that do so together with
// the others of the weaker. Of a name that both have the stronger counts, of a repeated one the
// last.
std::vector<std::string> giving_way(const std::vector<GivenFlag>& weaker,
                                    const std::vector<GivenFlag>& stronger);

}  // namespace loadline
