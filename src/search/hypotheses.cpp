#include "search/hypotheses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <tuple>

namespace loadline {
namespace {

// Before anything is measured: how likely memory is to be taken in blocks, and to have a cliff
// along the batch, or along the layers.
constexpr double kBlocks = 0.25, kCliff = 0.3;
constexpr std::size_t kBlockSizes = 2;
// A cliff's height, in budgets.
constexpr double kCliffMean = 0.1, kCliffDeviation = 0.2;
// How far apart a plan that is otherwise right and the peaks may lie, all in all, in budgets; peaks
// without a plan lie anywhere.
constexpr double kSpreadOfPlan = 0.004, kSpreadOfShape = 1;
// Hypotheses this much less likely than the best are forgotten (logarithm).
constexpr double kForgotten = 12;

// Affine in tokens, in tokens x layers, in rank x layers and in layers, each as a share of the
// largest that is asked for; how steep each is stays open over a wide range. Checkpointing lowers
// what tokens need.
constexpr std::array kShapeMean = {0.3, 0.7, 0.7, 0.3, 0.2, 0.0, -0.3};
constexpr std::array kShapeDeviation = {0.5, 3.0, 3.0, 1.0, 0.5, 1.0, 1.0};

double ratio(std::int64_t value, std::int64_t of) {
  return static_cast<double>(value) / static_cast<double>(of);
}

std::vector<double> loads_of(const Grounds& grounds) {
  std::vector<double> loads;
  for (const RunTrial& trial : grounds.trials) {
    if (!has_whole_peak(trial)) continue;
    loads.push_back(static_cast<double>(trial.outcome.peak->bytes.count) / grounds.room());
  }
  return loads;
}

// What it needed more of, in budgets: than its ceiling, or than it held where memory ran out around
// it.
double least_load(const RunTrial& trial, const Grounds& grounds) {
  if (trial.outcome.ran_out_around_it()) {
    const Bytes held = trial.outcome.peak.value_or(MeasuredBytes{}).bytes;
    return static_cast<double>(held.count) / grounds.room();
  }
  if (trial.cap.count > 0) return static_cast<double>(trial.cap.count) / grounds.room();
  return trial.under_margin ? 1 : 1 + grounds.limits.margin;
}

// What ran out of memory needed more than there was. In blocks a peak is what the line was rounded
// up to; a plan knows the blocks itself.
std::vector<Observation> observations(const Hypothesis& of, const Grounds& grounds) {
  std::vector<Observation> seen;
  const double block = of.follows_plan ? 0 : of.blocks.size;
  for (const RunTrial& trial : grounds.trials) {
    const bool whole = has_whole_peak(trial);
    if (!whole && trial.outcome.verdict != Verdict::kOutOfMemory) continue;
    auto point = point_of(trial.configuration, of, grounds);
    if (!point) continue;
    Observation one{.point = std::move(*point)};
    if (whole) {
      one.value = static_cast<double>(trial.outcome.peak->bytes.count) / grounds.room();
      if (block > 0) {
        one.high = std::round(one.value / block) * block;
        one.low = one.high - block;
      }
    } else {
      one.low = least_load(trial, grounds);
      if (block > 0) one.low = std::floor(one.low / block) * block;
      one.high = Observation::kUnbounded;
    }
    seen.push_back(std::move(one));
  }
  return seen;
}

// Where cliffs lie is told apart only by which trials stand above them.
using Pattern = std::tuple<double, bool, bool, std::vector<double>>;
Pattern pattern_of(const Hypothesis& one, const std::vector<Observation>& seen) {
  Pattern pattern{one.blocks.size, one.batch_cliff > 0, one.layers_cliff > 0, {}};
  for (const Observation& o : seen) {
    const auto cliffs = o.point.features.begin() + kShapeMean.size();
    std::get<3>(pattern).insert(std::get<3>(pattern).end(), cliffs, o.point.features.end());
  }
  return pattern;
}

Belief belief_of_shape(const Hypothesis& one) {
  Belief belief{.mean = {kShapeMean.begin(), kShapeMean.end()},
                .deviation = {kShapeDeviation.begin(), kShapeDeviation.end()},
                .rest = 0.001,
                // In blocks the noise of a peak is not the line's.
                .noise = one.blocks.size > 0 ? 0.0002 : 0.001};
  for (const std::int64_t cliff : {one.batch_cliff, one.layers_cliff}) {
    if (cliff == 0) continue;
    belief.mean.push_back(kCliffMean);
    belief.deviation.push_back(kCliffDeviation);
  }
  return belief;
}

// Where a cliff along the batch may begin: at each from 2 on, or at as many of them as can be held
// in mind, evenly.
std::vector<std::int64_t> cliff_batches(std::int64_t max_batch) {
  constexpr std::int64_t kMost = 63;
  std::vector<std::int64_t> batches;
  const std::int64_t count = std::min(max_batch - 1, kMost);
  for (std::int64_t i = 0; i < count; ++i) batches.push_back(2 + i * (max_batch - 1) / count);
  return batches;
}

// Of one among `places` where a cliff may begin; without one, that there is none.
double log_chance_of_cliff(std::int64_t cliff, std::size_t places) {
  return cliff == 0 ? std::log(1 - kCliff) : std::log(kCliff / static_cast<double>(places));
}

// A load that is a multiple of the block: of a line the next one above, of a plan the nearest.
Foreseen in_blocks(const Expectation& line, const Hypothesis& of) {
  constexpr double kFar = 5;  // deviations
  constexpr double kNeverFits = 2;
  constexpr double kMany = 100;  // multiples: their steps do not show in so much doubt
  const double size = of.blocks.size;
  const double shift = of.follows_plan ? 0.5 : 0;
  const auto multiple = [&](double value) { return std::ceil(value / size - shift); };
  const double first = std::fmax(multiple(line.mean - kFar * line.deviation), 1);
  const double last =
      std::fmin(multiple(line.mean + kFar * line.deviation), std::ceil(kNeverFits / size));
  if (last - first > kMany) {
    return {{line.mean + (0.5 - shift) * size, line.deviation},
            line.chance_below((std::floor(1 / size) + shift) * size)};
  }
  Foreseen sum;
  double below = 0;
  double squares = 0;
  for (double k = first; k <= last; ++k) {
    const double up_to = line.chance_below((k + shift) * size);
    const Expectation peak{k * size, of.blocks.noise * k * size};
    sum.load.mean += (up_to - below) * peak.mean;
    squares += (up_to - below) * (peak.mean * peak.mean + peak.deviation * peak.deviation);
    sum.chance += (up_to - below) * peak.chance_below(1);
    below = up_to;
  }
  sum.load.mean += (1 - below) * line.mean;
  squares += (1 - below) * (line.mean * line.mean + line.deviation * line.deviation);
  sum.load.deviation = std::sqrt(std::fmax(squares - sum.load.mean * sum.load.mean, 1e-12));
  return sum;
}

}  // namespace

std::optional<double> Estimates::of(const Configuration& configuration) {
  const auto known = answers_.find(configuration);
  if (known != answers_.end()) return known->second;
  std::optional<double> answer;
  try {
    const PredictedBytes predicted = estimate_ ? estimate_(configuration) : PredictedBytes{};
    if (predicted.bytes.count > 0) answer = static_cast<double>(predicted.bytes.count);
  } catch (const std::exception&) {
    answer = std::nullopt;  // no estimate is a slower search, not a failed one
  }
  answers_.emplace(configuration, answer);
  return answer;
}

bool has_whole_peak(const RunTrial& trial) {
  return trial.outcome.ran_through() && trial.outcome.peak.has_value() &&
         trial.outcome.peak->bytes.count > 0;
}

// In budgets: the plan is right within a fifth and an offset of a twentieth, and then to about a
// thousandth.
std::vector<Hypothesis> hypotheses_of_plan(const Grounds& grounds) {
  const Belief belief{.mean = {1, 0}, .deviation = {0.2, 0.05}, .rest = 0.001, .noise = 0.0012};
  Hypothesis smooth{.model = nullptr, .follows_plan = true, .blocks = {}};
  smooth.model = std::make_shared<Regression>(fitted(belief, observations(smooth, grounds)));
  const double evidence = smooth.model->log_evidence();
  smooth.log_weight = evidence + std::log(1 - kBlocks);
  std::vector<Hypothesis> all = {smooth};
  for (const Blocks& blocks : likely_blocks(loads_of(grounds), kSpreadOfPlan, kBlockSizes)) {
    all.push_back(smooth);
    all.back().blocks = blocks;
    all.back().log_weight = evidence + blocks.log_support + std::log(kBlocks);
  }
  return all;
}

std::vector<Hypothesis> hypotheses_of_shape(const Grounds& grounds, bool simple) {
  const std::vector<double> loads = loads_of(grounds);
  std::vector<Blocks> sizes = {Blocks{}};
  std::vector<std::int64_t> batches = {0};
  std::vector<std::int64_t> layers = {0};
  if (!simple) {
    const auto likely = likely_blocks(loads, kSpreadOfShape, kBlockSizes);
    sizes.insert(sizes.end(), likely.begin(), likely.end());
    const auto cliffs = cliff_batches(grounds.space.max_batch);
    batches.insert(batches.end(), cliffs.begin(), cliffs.end());
    layers.insert(layers.end(), grounds.space.layers.begin() + 1, grounds.space.layers.end());
  }
  std::map<Pattern, std::shared_ptr<const Regression>> models;
  std::vector<Hypothesis> all;
  for (const Blocks& blocks : sizes) {
    // The evidence of intervals is a chance, that of peaks a density: the block is their ratio.
    double of_blocks = std::log(1 - kBlocks);
    if (blocks.size > 0) {
      of_blocks = std::log(kBlocks) + blocks.log_support -
                  static_cast<double>(loads.size()) * std::log(blocks.size);
    }
    for (const std::int64_t batch : batches) {
      for (const std::int64_t layer : layers) {
        Hypothesis one{.model = nullptr, .blocks = blocks, .batch_cliff = batch};
        one.layers_cliff = layer;
        const std::vector<Observation> seen = observations(one, grounds);
        auto& model = models[pattern_of(one, seen)];
        if (!model) model = std::make_shared<Regression>(fitted(belief_of_shape(one), seen));
        one.model = model;
        one.log_weight = model->log_evidence() + of_blocks +
                         log_chance_of_cliff(batch, batches.size() - 1) +
                         log_chance_of_cliff(layer, layers.size() - 1);
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

double total_of(const std::vector<Hypothesis>& hypotheses) {
  double most = hypotheses.front().log_weight;
  for (const Hypothesis& one : hypotheses) most = std::fmax(most, one.log_weight);
  double sum = 0;
  for (const Hypothesis& one : hypotheses) sum += std::exp(one.log_weight - most);
  return most + std::log(sum);
}

void weigh(std::vector<Hypothesis>& hypotheses) {
  double most = hypotheses.front().log_weight;
  for (const Hypothesis& one : hypotheses) most = std::fmax(most, one.log_weight);
  std::erase_if(hypotheses,
                [&](const Hypothesis& one) { return one.log_weight < most - kForgotten; });
  double sum = 0;
  for (Hypothesis& one : hypotheses) {
    one.weight = std::exp(one.log_weight - most);
    sum += one.weight;
  }
  for (Hypothesis& one : hypotheses) one.weight /= sum;
}

std::optional<Point> point_of(const Configuration& c, const Hypothesis& hypothesis,
                              const Grounds& grounds) {
  const SearchSpace& space = grounds.space;
  const double sequence =
      space.sequences.back() > 0 ? ratio(c.sequence, space.sequences.back()) : 1;
  const double batch = ratio(c.batch_size, space.max_batch);
  const double tokens = batch * sequence;
  const double rank = ratio(c.lora_rank, space.ranks.back());
  const double layers = ratio(c.lora_layers, space.layers.back());
  Point point{.features = {}, .place = {batch, layers}};
  if (hypothesis.follows_plan) {
    const auto estimated = grounds.estimates.of(c);
    if (!estimated) return std::nullopt;
    point.features = {*estimated / grounds.room(), 1};
    return point;
  }
  const double recomputes = c.checkpointing == 1 ? 1 : 0;
  point.features = {1,
                    tokens,
                    tokens * layers,
                    rank * layers,
                    layers,
                    recomputes * tokens,
                    recomputes * tokens * layers};
  if (hypothesis.batch_cliff > 0) {
    point.features.push_back(c.batch_size >= hypothesis.batch_cliff ? 1 : 0);
  }
  if (hypothesis.layers_cliff > 0) {
    point.features.push_back(c.lora_layers >= hypothesis.layers_cliff ? 1 : 0);
  }
  return point;
}

Foreseen foreseen(const Point& point, const Hypothesis& hypothesis) {
  const Expectation line = hypothesis.model->at(point);
  if (hypothesis.blocks.size > 0) return in_blocks(line, hypothesis);
  return {line, line.chance_below(1)};
}

}  // namespace loadline
