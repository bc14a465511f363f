#!/usr/bin/env python3
"""Writes schedules.json: the learning rate of every update under torch.optim.lr_scheduler.

The multipliers are transformers' get_constant_schedule_with_warmup, get_linear_schedule_with_warmup
and get_cosine_schedule_with_warmup (half a cosine), run by torch's LambdaLR as transformers does.
Where there is no warm-up, torch's own CosineAnnealingLR and LinearLR must say the same.
Needs PyTorch. The tests need schedules.json only."""
import json
import math
import os

import torch
from torch.optim import lr_scheduler


def multiplier(schedule, warmup, steps):
    def at(done):
        if done < warmup:
            return done / max(1, warmup)
        progress = (done - warmup) / max(1, steps - warmup)
        if schedule == "constant":
            return 1.0
        if schedule == "linear":
            return max(0.0, 1.0 - progress)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)))
    return at


def rates(make, rate, steps):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return out


def main():
    cases = []
    for schedule in ("constant", "linear", "cosine"):
        for warmup, steps in ((0, 12), (3, 12), (12, 12), (100, 15)):
            rate = 2e-4
            values = rates(lambda o: lr_scheduler.LambdaLR(o, multiplier(schedule, warmup, steps)), rate, steps)
            cases.append(dict(schedule=schedule, rate=rate, warmup=warmup, steps=steps, values=values))
            own = {"cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, steps),
                   "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, steps)}.get(schedule)
            if warmup == 0 and own:
                for a, b in zip(values, rates(own, rate, steps)):
                    assert abs(a - b) < 1e-12, (schedule, a, b)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules.json")
    with open(path, "w", encoding="utf8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
