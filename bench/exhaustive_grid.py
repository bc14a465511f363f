#!/usr/bin/env python3
"""Runs every configuration of a grid, then `find` under several memory limits, and compares.

    bench/exhaustive_grid.py build/release/loadline --limits 75MiB,90MiB,120MiB

A peak does not depend on the limit, so one exhaustive grid answers for all of them: what fits is
what peak x 1.15 puts within the limit. A machine's speed drifts: speeds are compared at one pace, as
find does (docs/search.md), and with --passes N the grid is run N times, and each peak and speed is
the median of its runs. Printed for each limit: trials and seconds
of find, cells of the frontier that differ, and find's choice as a share of the grid's best.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

from plan_against_measured import run_worker

MARGIN = 0.15
ENOUGH = 0.9  # of the fastest, for balanced
REFERENCE_SECONDS = 0.02  # any will do


def find(options, folder, limit, objective="balanced"):
    command = [options.loadline, "find", "--demo", "--ranks", options.ranks, "--layers-grid",
               options.layers, "--max-batch", str(options.max_batch), "--steps",
               str(options.steps), "--compute-dtype", options.compute, "--memory-limit", limit,
               "--grad-checkpoint", "off",  # as in the grid, whose trials are copies of one
               "--objective", objective, "--no-save", "--json", "--run-dir", folder]
    start = time.monotonic()
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if not ended.stdout:
        sys.exit(f"find ended with {ended.returncode}:\n{ended.stderr.decode()}")
    return json.loads(ended.stdout), time.monotonic() - start


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def configurations(options):
    for rank in map(int, options.ranks.split(",")):
        for layers in map(int, options.layers.split(",")):
            for batch in range(1, options.max_batch + 1):
                yield rank, layers, batch


def run_once(options, folder, spec, configuration):
    """(peak in bytes, tokens a second at one pace, and as measured); of the steps that find takes."""
    rank, layers, batch = configuration
    spec["worker"].update(lora_rank=rank, lora_layers=layers, batch_size=batch,
                          lora_alpha=2.0 * rank, enough_seconds=0,
                          adapter_path=os.path.join(folder, "adapter"))
    events = []
    run_worker(options.loadline, spec, folder, events)
    peak = max(event.get("peak_bytes", 0) for event in events)
    steps = [event for event in events if event["event"] == "step"]
    steady = steps[1 if len(steps) < 6 else 2:]  # as src/trial/statistics.cpp
    rates = [(step["tokens"] / step["seconds"], step["reference_seconds"]) for step in steady]
    return (peak, median([rate * seconds / REFERENCE_SECONDS for rate, seconds in rates]),
            median([rate for rate, _ in rates]))


def exhaustive(options, folder, spec):
    """(rank, layers, batch) -> (peak in bytes, speed); and the seconds of one pass."""
    runs = {}
    start = time.monotonic()
    for _ in range(options.passes):
        for configuration in configurations(options):
            once = run_once(options, folder, spec, configuration)
            runs.setdefault(configuration, []).append(once)
    if options.passes > 1:
        for name, column in ("at one pace", 1), ("as measured", 2):
            spreads = [statistics.stdev(math.log(run[column]) for run in of)
                       for of in runs.values()]
            print(f"speeds of one configuration {name}: deviation {100 * median(spreads):.1f} % "
                  f"(median), {100 * max(spreads):.1f} % (most)")
    seen = {c: tuple(map(median, zip(*of)))[:2] for c, of in runs.items()}
    return seen, (time.monotonic() - start) / options.passes


def best_of(fits, objective):
    """The exhaustive grid's value of the objective: size, or speed."""
    largest_batch = {}
    for (rank, layers, batch), _ in fits.items():
        key = rank, layers
        largest_batch[key] = max(batch, largest_batch.get(key, 0))
    if objective == "fastest":
        return max(speed for _, speed in fits.values())
    sizes = {c: c[0] * c[1] * c[2] for c in fits}
    if objective == "largest":
        return max(sizes.values())
    ends = {c: v for c, v in fits.items() if largest_batch[c[0], c[1]] == c[2]}
    fastest = max(speed for _, speed in ends.values())
    return max(sizes[c] for c, (_, speed) in ends.items() if speed >= ENOUGH * fastest)


def compare(result, seconds, seen, limit, grid_seconds):
    budget = result["budget_bytes"]
    fits = {c: v for c, v in seen.items() if v[0] * (1 + MARGIN) <= budget}
    wrong = []
    for cell in result["frontier"]:
        key = cell["lora_rank"], cell["lora_layers"]
        truth = max((c[2] for c in fits if c[:2] == key), default=0)
        if truth != cell["max_batch"]:
            wrong.append(f"{key}: {cell['max_batch']} not {truth}")
    objective = result["objective"]
    chosen = result["optimal"]
    share = 0
    speed = 0
    if chosen and fits:
        size = chosen["batch_size"] * chosen["lora_rank"] * chosen["lora_layers"]
        value = chosen["tokens_per_second"] if objective == "fastest" else size
        share = value / best_of(fits, objective)
        own = seen[chosen["lora_rank"], chosen["lora_layers"], chosen["batch_size"]][1]
        speed = own / best_of(fits, "fastest")
    print(f"| {limit} | {objective} | {len(result['trials'])} | {len(wrong)} of "
          f"{len(result['frontier'])} | {100 * share:.0f} % | {100 * speed:.0f} % | {seconds:.1f} s | "
          f"{seconds / grid_seconds:.3f} |", flush=True)
    for text in wrong:
        print(f"  differs: {text}", file=sys.stderr)
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loadline")
    parser.add_argument("--limits", default="75MiB,90MiB,120MiB")
    parser.add_argument("--objectives", default="balanced")
    parser.add_argument("--ranks", default="8,16,32,64")
    parser.add_argument("--layers", default="1,2,4,6")
    parser.add_argument("--max-batch", type=int, default=6)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--compute", default="f32")
    parser.add_argument("--passes", type=int, default=1)
    options = parser.parse_args()
    options.loadline = os.path.abspath(options.loadline)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for limit in options.limits.split(","):
            for objective in options.objectives.split(","):
                run = os.path.join(folder, f"{limit}-{objective}")
                found[limit, objective] = find(options, run, limit, objective)
        first = os.path.join(run, "trials", "001", "spec.json")
        with open(first, encoding="utf-8") as file:
            spec = json.load(file)
        seen, grid_seconds = exhaustive(options, folder, spec)
        print(f"{len(seen)} runs of {options.steps} steps: {grid_seconds:.0f} s")
        print("| limit | objective | trials | cells that differ | of the best | its speed of the fastest |"
              " find | of the grid |\n|" + "---|" * 8)
        for (limit, _), (result, seconds) in found.items():
            good &= compare(result, seconds, seen, limit, grid_seconds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
