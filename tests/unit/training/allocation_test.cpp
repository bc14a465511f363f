// The update loop takes no memory: this file replaces operator new of the whole test program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "checkpoint/weights.h"
#include "training/update.h"
#include "training_fixture.h"

namespace {

std::atomic<long> allocations{0};
std::atomic<long> living{0};
std::atomic<std::size_t> largest{0};

void* counted(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  ++allocations;
  ++living;
  if (size > largest) largest = size;
  return memory;
}

void* counted_or_throw(std::size_t size) {
  if (void* memory = counted(size)) return memory;
  throw std::bad_alloc();
}

void give_back(void* memory) {
  if (memory != nullptr) --living;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return counted_or_throw(size); }
void* operator new[](std::size_t size) { return counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return counted(size);
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { give_back(memory); }

namespace loadline {
namespace {

class Allocation : public TrainingRun {
 protected:
  // Six rows an update of 20 rows of data: epochs meet within batches.
  TrainingSettings accumulating() {
    TrainingSettings s = settings("unused");
    s.batch_size = 3;
    s.grad_accumulation_steps = 2;
    s.distrust.mode = DistrustMode::kWeighted;
    return s;
  }
};

TEST_F(Allocation, ChoosingAndLayingOutBatchesAllocatesNothing) {
  const TrainingSettings s = accumulating();
  const PackedRows rows(s.train_rows);
  EffectiveBatch batch(rows, s, worst_batch_tokens(s, rows));
  const long before = allocations;
  for (std::int64_t step = 1; step <= 40; ++step) {
    batch.select(step);
    for (std::int64_t m = 0; m < batch.micro_batches(); ++m) batch.micro_batch(m);
  }
  EXPECT_EQ(allocations - before, 0);
}

TEST_F(Allocation, UpdatesKeepNothingAndAskForNoBuffer) {
  const TrainingSettings s = accumulating();
  const PackedRows rows(s.train_rows);
  const StepShape shape = step_shape(s, rows, nullptr);
  LoraModel model(read_config(s.model), s.lora, shape);
  model.load_weights(WeightFiles(s.model));
  model.initialize_adapter(s.seed);
  model.warm_up();
  EffectiveBatch batch(rows, s, shape.tokens);
  largest = 0;
  const long living_before = living;
  for (std::int64_t step = 1; step <= 4; ++step) {
    batch.select(step);
    ASSERT_TRUE(run_update(model, batch, s, step).finite);
  }
  EXPECT_EQ(living - living_before, 0);
  // The product library's own bookkeeping, given back at once.
  EXPECT_LE(largest.load(), 4096U);
}

}  // namespace
}  // namespace loadline
