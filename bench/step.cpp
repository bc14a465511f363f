// A whole training step of a known model shape with random weights: its time, its products alone
// (the floor), where the rest goes, and planned against measured bytes.
//
//   bench_step smollm-135m|llama-1.1b|mistral-7b [--batch B] [--length T] [--rank R] [--layers N]
//              [--steps S] [--threads N] [--compute f32|bf16] [--checkpoint] [--mixed] [--nf4]
//              [--products native|widened]
//
// --mixed: rows of 20 to 500 tokens against equal rows of the same total instead.
//
// The floor: every product of the step as it runs, its blocks of at most 512 tokens, on matrices of
// its own in the same process, times the number of its runs. Once with operands that stay the same,
// the fastest of several ("hot"), and once with other weights each time, as in the step ("cold").
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/kernel_times.h"
#include "kernels/threads.h"
#include "kernels/wide_product.h"
#include "model/lora_model.h"

namespace {

using namespace loadline;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::string shape = "smollm-135m";
  std::int64_t batch = 4;
  std::int64_t length = 512;
  std::int64_t rank = 8;
  std::int64_t layers = 16;
  int steps = 5;
  int threads = omp_get_max_threads();
  DType compute = bf16_pays() ? DType::kBf16 : DType::kF32;
  bool checkpoint = false;
  bool nf4 = false;
  bool widen = bf16_products_are_slow();
  bool mixed = false;  // rows of 20 to 500 tokens against equal rows of the same total
};

ModelConfig model_of(const std::string& name) {
  struct Shape {
    std::int64_t hidden, intermediate, layers, heads, kv_heads, vocabulary;
    bool tied;
  };
  const std::map<std::string, Shape> known = {
      {"smollm-135m", {576, 1536, 30, 9, 3, 49152, true}},
      {"llama-1.1b", {2048, 5632, 22, 32, 4, 32000, false}},
      {"mistral-7b", {4096, 14336, 32, 32, 8, 32000, false}}};
  const Shape& s = known.at(name);
  ModelConfig model;
  model.hidden_size = s.hidden;
  model.intermediate_size = s.intermediate;
  model.layers = s.layers;
  model.heads = s.heads;
  model.kv_heads = s.kv_heads;
  model.head_dim = s.hidden / s.heads;
  model.vocab_size = s.vocabulary;
  model.tied_embeddings = s.tied;
  model.rms_norm_eps = 1e-5;
  return model;
}

Options parse(int argc, char** argv) {
  Options o;
  std::string compute = o.compute == DType::kF32 ? "f32" : "bf16";
  std::string products = o.widen ? "widened" : "native";
  CLI::App app("A step against its products alone");
  app.add_option("shape", o.shape, "A known model's shape")->capture_default_str();
  app.add_option("--batch", o.batch, "Rows");
  app.add_option("--length", o.length, "Tokens of a row");
  app.add_option("--rank", o.rank, "LoRA rank");
  app.add_option("--layers", o.layers, "The last N layers");
  app.add_option("--steps", o.steps, "Timed steps");
  app.add_option("--threads", o.threads, "All of the machine's when not given");
  app.add_option("--compute", compute)->check(CLI::IsMember({"f32", "bf16"}));
  app.add_flag("--checkpoint", o.checkpoint, "Activation checkpointing");
  app.add_flag("--nf4", o.nf4, "Quantized frozen projections");
  app.add_option("--products", products, "Of bf16: as the CPU has them, or in f32")
      ->check(CLI::IsMember({"native", "widened"}))
      ->capture_default_str();
  app.add_flag("--mixed", o.mixed, "Rows of 20 to 500 tokens against equal ones");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  o.compute = compute == "f32" ? DType::kF32 : DType::kBf16;
  o.widen = products == "widened";
  return o;
}

// Rows of random ids, every token a target.
struct Rows {
  std::vector<std::int32_t> ids, starts, targets;
  std::vector<float> coefficients;

  Rows(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary) : starts{0} {
    std::mt19937 random(1);
    for (const std::int64_t length : lengths) {
      for (std::int64_t t = 0; t < length; ++t) {
        ids.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(vocabulary)));
      }
      starts.push_back(static_cast<std::int32_t>(ids.size()));
    }
    targets.assign(ids.begin() + 1, ids.end());
    targets.push_back(-1);
    coefficients.assign(ids.size(), 1.0F / static_cast<float>(ids.size()));
  }
  [[nodiscard]] Batch batch() const {
    return {.ids = ids, .row_starts = starts, .targets = targets, .coefficients = coefficients};
  }
};

std::vector<std::int64_t> equal_lengths(const Options& o) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(o.batch), o.length);
}

// Lengths of 20 to 500, evenly spread, that make `total`; the last one is what is left.
std::vector<std::int64_t> mixed_lengths(std::int64_t total) {
  std::mt19937 random(7);
  std::vector<std::int64_t> lengths;
  while (total > 500) {
    const std::int64_t drawn = 20 + static_cast<std::int64_t>(random() % 481);
    lengths.push_back(total - drawn < 20 ? total / 2 : drawn);
    total -= lengths.back();
  }
  lengths.push_back(total);
  return lengths;
}

double step(LoraModel& model, const Batch& batch, std::int64_t number) {
  const auto begin = Clock::now();
  model.zero_gradients();
  model.forward_backward(batch);
  model.update({.learning_rate = 1e-4F, .step = number}, 1.0F);
  return Seconds(Clock::now() - begin).count();
}

struct Matrix {
  View view;
  std::unique_ptr<std::byte[]> bytes;
  Matrix(std::int64_t rows, std::int64_t cols, DType dtype)
      : bytes(new std::byte[static_cast<std::size_t>(rows * cols) * size_of(dtype) + 64]) {
    std::size_t space = static_cast<std::size_t>(rows * cols) * size_of(dtype) + 64;
    void* data = bytes.get();
    std::align(64, space - 64, data, space);
    view = {data, dtype, rows, cols, cols};
    std::memset(data, 0, static_cast<std::size_t>(rows * cols) * size_of(dtype));
  }
};

// What a product reads of a layer's own: its weights, or for kTN the other activations.
Matrix right_operand(const Gemm::Ran& ran) {
  if (ran.product == Product::kTN) return {ran.tokens, ran.inner, ran.in};
  if (ran.product == Product::kNT) return {ran.width, ran.inner, ran.in};
  return {ran.inner, ran.width, ran.in};
}

double median_of(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

// One product of the step on matrices of its own.
class Alone {
 public:
  // times: of which one step.
  Alone(const Gemm::Ran& ran, double times)
      : ran_(ran),
        times_(times),
        a_(ran.tokens, tn() ? ran.width : ran.inner, ran.in),
        right_(right_operand(ran)),
        c_(tn() ? ran.width : ran.tokens, tn() ? ran.inner : ran.width, ran.out) {}

  // Seconds of a step, with the same operands each time.
  [[nodiscard]] double hot(Gemm& gemm) const {
    constexpr int kRuns = 5;
    double least = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRuns; ++i) least = std::min(least, seconds(gemm, right_));
    return least * times_;
  }
  // The same with other weights each time.
  [[nodiscard]] double cold(Gemm& gemm) const {
    constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
    constexpr std::int64_t kMost = 64;
    std::vector<Matrix> rights;
    std::int64_t bytes = 0;
    for (std::int64_t i = 0; i < std::clamp<std::int64_t>(ran_.times, 2, kMost); ++i) {
      rights.push_back(right_operand(ran_));
      bytes += rights.back().view.rows * rights.back().view.cols * 4;
      if (bytes > kMostBytes) break;
    }
    std::vector<double> all;
    for (const Matrix& right : rights) all.push_back(seconds(gemm, right));
    return median_of(all) * times_;
  }
  [[nodiscard]] double flops() const {
    return 2.0 * static_cast<double>(ran_.tokens * ran_.width * ran_.inner) * times_;
  }
  void print(double hot) const {
    constexpr const char* kNames[] = {"NT", "NN", "TN"};
    fmt::print(
        "  {} tokens {:4} width {:6} inner {:6} {} {:8.0f} x; hot {:7.1f} ms ({:5.0f} GFLOP/s)\n",
        kNames[static_cast<int>(ran_.product)], ran_.tokens, ran_.width, ran_.inner,
        ran_.accumulate ? "+=" : " =", times_, hot * 1e3, flops() / hot * 1e-9);
  }

 private:
  [[nodiscard]] bool tn() const { return ran_.product == Product::kTN; }
  [[nodiscard]] double seconds(Gemm& gemm, const Matrix& right) const {
    const auto begin = Clock::now();
    gemm.run(ran_.product, a_.view, right.view, c_.view, ran_.accumulate);
    return Seconds(Clock::now() - begin).count();
  }

  Gemm::Ran ran_;
  double times_;
  Matrix a_, right_, c_;
};

// One native step's. Those of frozen matrices that are widened do not go through oneDNN: its own of
// the same step are asked for, and taken in f32.
std::vector<Gemm::Ran> products_of_native_step(const ModelConfig& config, const LoraSettings& lora,
                                               StepShape shape, const Batch& batch) {
  shape.widen = false;
  if (!bf16_is_supported()) shape.compute = DType::kF32;
  LoraModel model(config, lora, shape);
  model.generate_weights(1);
  model.initialize_adapter(1);
  model.warm_up();
  model.products().forget_runs();
  step(model, batch, 1);
  std::vector<Gemm::Ran> ran = model.products().ran();
  for (Gemm::Ran& each : ran) {
    if (std::min({each.width, each.inner, each.tokens}) > lora.rank) {
      each.in = DType::kF32;
      each.out = DType::kF32;
    }
  }
  return ran;
}

// What a step's products take alone. Each is asked for in turn with the steps, as the machine's
// speed changes from minute to minute.
class Floor {
 public:
  explicit Floor(const std::vector<Gemm::Ran>& step)
      : scratch_(static_cast<std::int64_t>(Gemm::scratch_bound(threads()).count), 1, DType::kU8) {
    gemm_.use_scratch({static_cast<std::byte*>(scratch_.view.data),
                       static_cast<std::size_t>(scratch_.view.rows)});
    for (const Gemm::Ran& ran : step) products_.emplace_back(ran, static_cast<double>(ran.times));
  }
  [[nodiscard]] double hot(bool list) {
    double sum = 0;
    for (const Alone& product : products_) {
      const double seconds = product.hot(gemm_);
      sum += seconds;
      if (list) product.print(seconds);
    }
    return sum;
  }
  [[nodiscard]] double cold() {
    double sum = 0;
    for (const Alone& product : products_) sum += product.cold(gemm_);
    return sum;
  }
  [[nodiscard]] double flops() const {
    double sum = 0;
    for (const Alone& product : products_) sum += product.flops();
    return sum;
  }

 private:
  Matrix scratch_;
  Gemm gemm_;
  std::vector<Alone> products_;
};

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

void run(const Options& o, bool list) {
  const ModelConfig config = model_of(o.shape);
  const std::int64_t tokens = o.batch * o.length;
  const StepShape shape{
      .tokens = tokens,
      .rows = o.batch,
      .longest_row = o.length,
      .compute = o.compute,
      .checkpointing = o.checkpoint ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff,
      .quantize = o.nf4 ? Quantization::kNf4 : Quantization::kNone,
      .threads = o.threads,
      .widen = o.widen};
  LoraSettings lora{.rank = o.rank,
                    .alpha = 2.0 * static_cast<double>(o.rank),
                    .layers = std::min(o.layers, config.layers),
                    .targets = {Projection::kQ, Projection::kK, Projection::kV, Projection::kO}};
  LoraModel model(config, lora, shape);
  model.generate_weights(1);
  model.initialize_adapter(1);
  model.warm_up();
  const Rows rows(equal_lengths(o), config.vocab_size);
  model.products().forget_runs();
  step(model, rows.batch(), 1);
  const double peak = peak_mib();
  Floor floor(shape.widens() ? products_of_native_step(config, lora, shape, rows.batch())
                             : model.products().ran());
  std::vector<double> seconds, hot, share;
  std::array<KernelTime, kKernels> times;
  for (int i = 0; i < o.steps; ++i) {
    time_kernels(true);
    seconds.push_back(step(model, rows.batch(), i + 2));
    time_kernels(false);
    for (std::size_t k = 0; k < kKernels; ++k) {
      times[k].time += kernel_times()[k].time;
      times[k].calls += kernel_times()[k].calls;
    }
    hot.push_back(floor.hot(list && i == 0));
    share.push_back(hot.back() / seconds.back());
  }
  const double cold = floor.cold();
  std::ranges::sort(seconds);
  const double median = median_of(seconds);
  double all = 0;
  for (const double each : seconds) all += each;
  fmt::print("{} {} x {} tokens, rank {}, {} layers, {}, {} threads{}{}\n", o.shape, o.batch,
             o.length, o.rank, lora.layers, name_of(o.compute), o.threads,
             o.checkpoint ? ", checkpointing" : "", o.nf4 ? ", nf4" : "");
  fmt::print("  step      {:9.3f} s  (fastest {:.3f}, slowest {:.3f})  {:8.1f} tokens/s\n", median,
             seconds.front(), seconds.back(), static_cast<double>(tokens) / median);
  const auto print_floor = [&](const char* name, double alone, double of_step) {
    fmt::print(
        "  {:<10}{:9.3f} s  = {:.1f} % of the step; {:.0f} GFLOP at {:.0f} GFLOP/s, {:.1f} "
        "tokens/s\n",
        name, alone, 100 * of_step, floor.flops() * 1e-9, floor.flops() / alone * 1e-9,
        static_cast<double>(tokens) / alone);
  };
  print_floor("hot floor", median_of(hot), median_of(share));
  print_floor("cold floor", cold, cold / median);
  double known = 0;
  for (std::size_t k = 0; k < kKernels; ++k) {
    if (times[k].calls == 0) continue;
    const double part = Seconds(times[k].time).count() / o.steps;
    known += part;
    fmt::print("  {:<20} {:9.1f} ms {:6.1f} %  {:5} calls\n", name_of(static_cast<Kernel>(k)),
               part * 1e3, 100 * part * o.steps / all, times[k].calls / o.steps);
  }
  fmt::print("  {:<20} {:9.1f} ms {:6.1f} %\n", "between", all / o.steps * 1e3 - known * 1e3,
             100 - 100 * known * o.steps / all);
  fmt::print("  planned   {:9.1f} MiB, VmHWM {:.1f} MiB\n",
             static_cast<double>(model.plan().total().bytes.count) / (1 << 20), peak);
}

// Both kinds of batch by turns on one model: a noisy machine slows both.
void run_mixed(const Options& o) {
  const ModelConfig config = model_of(o.shape);
  const std::int64_t tokens = o.batch * o.length;
  const std::vector<std::int64_t> lengths = mixed_lengths(tokens);
  const StepShape shape{
      .tokens = tokens,
      .rows = std::max<std::int64_t>(o.batch, std::ssize(lengths)),
      .longest_row = std::max(o.length, *std::ranges::max_element(lengths)),
      .compute = o.compute,
      .checkpointing = o.checkpoint ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff,
      .quantize = o.nf4 ? Quantization::kNf4 : Quantization::kNone,
      .threads = o.threads,
      .widen = o.widen};
  const LoraSettings lora{
      .rank = o.rank,
      .alpha = 2.0 * static_cast<double>(o.rank),
      .layers = std::min(o.layers, config.layers),
      .targets = {Projection::kQ, Projection::kK, Projection::kV, Projection::kO}};
  LoraModel model(config, lora, shape);
  model.generate_weights(1);
  model.initialize_adapter(1);
  model.warm_up();
  const Rows equal(equal_lengths(o), config.vocab_size);
  const Rows mixed(lengths, config.vocab_size);
  std::vector<double> equal_seconds, mixed_seconds;
  for (int i = -1; i < o.steps; ++i) {
    const double a = step(model, equal.batch(), 2 * i + 3);
    const double b = step(model, mixed.batch(), 2 * i + 4);
    if (i < 0) continue;
    equal_seconds.push_back(a);
    mixed_seconds.push_back(b);
  }
  const double a = median_of(equal_seconds);
  const double b = median_of(mixed_seconds);
  fmt::print("{}: {} tokens, {} threads\n", o.shape, tokens, o.threads);
  fmt::print("  {:3} rows of {}          {:9.1f} tokens/s\n", o.batch, o.length,
             static_cast<double>(tokens) / a);
  fmt::print("  {:3} rows of 20 to 500   {:9.1f} tokens/s, {:.2f} of it\n", lengths.size(),
             static_cast<double>(tokens) / b, a / b);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const bool list = argc > 1 && std::string(argv[argc - 1]) == "--list";
    const Options options = parse(list ? argc - 1 : argc, argv);
    if (options.mixed) {
      run_mixed(options);
    } else {
      run(options, list);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
