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
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/kernel_times.h"
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
  DType compute = bf16_is_fast() ? DType::kBf16 : DType::kF32;
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

struct Alone {
  double hot = 0;
  double cold = 0;
};

// Seconds of one product.
Alone alone(Gemm& gemm, const Gemm::Ran& ran) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
  constexpr std::int64_t kMost = 64;
  const bool tn = ran.product == Product::kTN;
  const Matrix a(ran.tokens, tn ? ran.width : ran.inner, ran.in);
  const Matrix c(tn ? ran.width : ran.tokens, tn ? ran.inner : ran.width, ran.out);
  std::vector<Matrix> rights;
  std::int64_t bytes = 0;
  for (std::int64_t i = 0; i < std::clamp<std::int64_t>(ran.times, 2, kMost); ++i) {
    rights.push_back(right_operand(ran));
    bytes += rights.back().view.rows * rights.back().view.cols * 4;
    if (bytes > kMostBytes) break;
  }
  const auto timed = [&](const Matrix& right) {
    const auto begin = Clock::now();
    gemm.run(ran.product, a.view, right.view, c.view, ran.accumulate);
    return Seconds(Clock::now() - begin).count();
  };
  Alone result{.hot = 1e9};
  double spent = 0;
  for (int i = 0; i < 40 && (i < 4 || spent < 0.3); ++i) {
    const double seconds = timed(rights.front());
    if (i > 0) result.hot = std::min(result.hot, seconds);
    spent += seconds;
  }
  std::vector<double> cold;
  for (const Matrix& right : rights) cold.push_back(timed(right));
  result.cold = median_of(cold);
  return result;
}

// Products of frozen matrices that are widened do not go through oneDNN: its own of the same step
// are asked for, and those that are not LoRA's are taken in f32.
std::vector<Gemm::Ran> products_of_native_step(const ModelConfig& config, const LoraSettings& lora,
                                               StepShape shape, const Batch& batch) {
  shape.widen = false;
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

struct Floor {
  Alone seconds;
  double flops = 0;
};

Floor floor_of(Gemm& gemm, const std::vector<Gemm::Ran>& products, int steps, bool list) {
  Floor floor;
  for (const Gemm::Ran& ran : products) {
    const Alone seconds = alone(gemm, ran);
    const double times = static_cast<double>(ran.times) / steps;
    const double flops = 2.0 * static_cast<double>(ran.tokens * ran.width * ran.inner);
    floor.seconds.hot += seconds.hot * times;
    floor.seconds.cold += seconds.cold * times;
    floor.flops += flops * times;
    if (list) {
      constexpr const char* kNames[] = {"NT", "NN", "TN"};
      fmt::print(
          "  {} tokens {:4} width {:6} inner {:6} {}{:8.0f} x; ms in all: hot {:7.1f} ({:5.0f} "
          "GFLOP/s), cold {:7.1f}, in the step {:7.1f}\n",
          kNames[static_cast<int>(ran.product)], ran.tokens, ran.width, ran.inner,
          ran.accumulate ? "+=" : " =", times, seconds.hot * times * 1e3,
          flops / seconds.hot * 1e-9, seconds.cold * times * 1e3,
          Seconds(ran.time).count() * 1e3 / steps);
    }
  }
  return floor;
}

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
  step(model, rows.batch(), 1);
  const double peak = peak_mib();
  model.products().forget_runs();
  time_kernels(true);
  std::vector<double> seconds;
  for (int i = 0; i < o.steps; ++i) seconds.push_back(step(model, rows.batch(), i + 2));
  const auto times = kernel_times();
  time_kernels(false);
  std::ranges::sort(seconds);
  const double median = median_of(seconds);
  double all = 0;
  for (const double each : seconds) all += each;
  const Floor floor =
      shape.widens() ? floor_of(model.products(),
                                products_of_native_step(config, lora, shape, rows.batch()), 1, list)
                     : floor_of(model.products(), model.products().ran(), o.steps, list);

  fmt::print("{} {} x {} tokens, rank {}, {} layers, {}, {} threads{}{}\n", o.shape, o.batch,
             o.length, o.rank, lora.layers, name_of(o.compute), o.threads,
             o.checkpoint ? ", checkpointing" : "", o.nf4 ? ", nf4" : "");
  fmt::print("  step      {:9.3f} s  (fastest {:.3f}, slowest {:.3f})  {:8.1f} tokens/s\n", median,
             seconds.front(), seconds.back(), static_cast<double>(tokens) / median);
  const auto print_floor = [&](const char* name, double alone) {
    fmt::print(
        "  {:<10}{:9.3f} s  = {:.1f} % of the step; {:.0f} GFLOP at {:.0f} GFLOP/s, {:.1f} "
        "tokens/s\n",
        name, alone, 100 * alone / median, floor.flops * 1e-9, floor.flops / alone * 1e-9,
        static_cast<double>(tokens) / alone);
  };
  print_floor("hot floor", floor.seconds.hot);
  print_floor("cold floor", floor.seconds.cold);
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
