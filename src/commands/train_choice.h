// Which batch size, rank and layers `train` uses, and who said so: flag, profile, conservative
// table, in this order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "report/profile.h"
#include "search/search.h"

namespace loadline {

struct GivenFlags {
  std::optional<std::int64_t> batch_size, lora_rank, lora_layers;
  // Who gave them, for people.
  std::string batch_from = "--batch-size", rank_from = "--lora-rank", layers_from = "--lora-layers";
};

struct TrainChoice {
  Configuration configuration;
  std::string source;  // for people: "batch 17 (--batch-size), rank 128 (profile NAME), ..."
  std::vector<std::string> notes;  // why a profile was not taken; that the table is untested here
};

// The guide's table for machines where nothing was measured, by the model's size. Untested on this
// machine.
Configuration conservative_configuration(const ModelConfig& model);

// Throws Error(kUsage) naming what is missing and the three ways to give it. `typed` are the words
// of the command: a way out is added to them, or stands in the place of some.
TrainChoice choose_configuration(const GivenFlags& flags, const ProfileMatch& match,
                                 bool conservative, const ModelConfig& model,
                                 const std::vector<std::string>& typed = {});

// Frozen and trainable weights of the base model, from its shape.
std::int64_t parameter_count(const ModelConfig& model);

}  // namespace loadline
