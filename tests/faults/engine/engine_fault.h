// A whole training on made-up rows, small enough to be run many times.
#pragma once

#include "unit/training/training_fixture.h"

namespace loadline {

class EngineFaults : public TrainingRun {
 protected:
  TrainingSettings small() {
    TrainingSettings s = settings("adapter");
    s.batch_size = 1;
    s.max_steps = 1;
    s.eval_batches = 1;
    s.order = RowOrder::kWorstFirst;
    s.lora = {.rank = 2, .alpha = 4, .layers = 1, .targets = {Projection::kQ}};
    s.threads = 1;  // a fork has no threads but its own
    return s;
  }
};

}  // namespace loadline
