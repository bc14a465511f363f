// What `profile remove` and `run remove` share.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace loadline {

// Calls remove(name) once for each of the names; for none where require(name) throws for one.
template <typename Require, typename Remove>
void remove_each(const std::vector<std::string>& names, Require require, Remove remove) {
  const std::set<std::string> each(names.begin(), names.end());
  for (const std::string& name : each) require(name);
  for (const std::string& name : each) remove(name);
}

}  // namespace loadline
