#!/usr/bin/env python3
"""Runs trials of many configurations and prints what was planned beside what was measured.

    bench/plan_against_measured.py build/release/loadline --demo
    bench/plan_against_measured.py build/release/loadline --model DIR --data rows.jsonl --grid large

A trial is the real worker: weights are loaded, steps run on the longest batch first, then an
evaluation and a save. Bytes are in MiB. "error" is planned less measured; the bar is 1 % of
measured or 16 MiB, and never under by more than 0.5 %.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

MIB = 1 << 20
ALL_TARGETS = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
FOUR_TARGETS = "q_proj,k_proj,v_proj,o_proj"


def first_spec(options, folder):
    """The settings that `find` gives its first trial, with absolute paths of packed rows."""
    source = ["--demo"] if options.demo else ["--model", options.model, "--data", options.data]
    command = [options.loadline, "find", *source, "--max-batch", "1", "--ranks", "8", "--steps",
               "3", "--layers-grid", "2", "--compute-dtype", "f32" if options.demo else "bf16",
               "--memory-limit", options.limit, "--no-save", "--json", "--run-dir",
               os.path.join(folder, "run")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(os.path.join(folder, "run", "trials", "001", "spec.json"), encoding="utf-8") as file:
        return json.load(file)


def small_grid(layers):
    for compute in ("f32", "bf16"):
        for checkpoint, batch, length, rank, count, targets in (
                (False, 1, 64, 8, 2, FOUR_TARGETS), (False, 6, 256, 8, 2, FOUR_TARGETS),
                (True, 4, 512, 64, layers, ALL_TARGETS), (False, 2, 512, 128, layers, ALL_TARGETS),
                (False, 2, 1024, 16, 4, "o_proj,down_proj"),
                (False, 16, 256, 32, layers, FOUR_TARGETS)):
            yield compute, checkpoint, batch, length, rank, count, targets, 2
    yield "bf16", False, 2, 256, 8, layers, FOUR_TARGETS, 1
    yield "bf16", False, 2, 256, 8, layers, FOUR_TARGETS, 4


def large_grid(layers):
    half = min(16, layers)
    yield "bf16", False, 1, 512, 8, half, FOUR_TARGETS, 2
    yield "bf16", False, 4, 512, 8, half, FOUR_TARGETS, 2
    yield "bf16", True, 4, 512, 8, half, FOUR_TARGETS, 2
    yield "bf16", False, 1, 512, 128, layers, ALL_TARGETS, 2
    yield "f32", True, 1, 512, 64, half, FOUR_TARGETS, 2


def run_worker(loadline, spec, folder, heard=None):
    """The last event of each kind, by name; all of them in order are added to `heard`."""
    path = os.path.join(folder, "spec.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    reader, writer = os.pipe()
    # The worker tells its parent on descriptor 3.
    script = f'exec "$0" worker --spec "$1" 3>&{writer}'
    process = subprocess.Popen(["/bin/sh", "-c", script, loadline, path], pass_fds=[writer],
                               stdin=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    process.wait()
    if heard is not None:
        heard.extend(events)
    return {event["event"]: event for event in events}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loadline")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--limit", default="2GiB")
    parser.add_argument("--grid", choices=("small", "large"), default="small")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--quantize", choices=("none", "nf4"), default="none")
    parser.add_argument("--only", type=int, help="the number of one configuration")
    options = parser.parse_args()
    options.loadline = os.path.abspath(options.loadline)
    with tempfile.TemporaryDirectory() as folder:
        spec = first_spec(options, folder)
        with open(os.path.join(spec["worker"]["model"], "config.json"), encoding="utf-8") as file:
            layers = json.load(file)["num_hidden_layers"]
        grid = list(small_grid(layers) if options.grid == "small" else large_grid(layers))
        print("| compute | checkpointing | batch | seq | rank | layers | targets | threads | planned"
              " | measured | error | anonymous | file | last step |\n|" + "---|" * 14)
        worst = 0
        for number, (compute, checkpoint, batch, length, rank, count, targets, threads) in \
                enumerate(grid):
            if options.only is not None and options.only != number:
                continue
            spec["worker"].update(compute=compute, quantize=options.quantize, grad_checkpoint=checkpoint, batch_size=batch,
                                  max_seq_length=length, lora_rank=rank, lora_layers=count,
                                  target_modules=targets, lora_alpha=2.0 * rank,
                                  threads=threads, max_steps=options.steps,
                                  adapter_path=os.path.join(folder, f"adapter{number}"))
            events = run_worker(options.loadline, spec, folder)
            if "finished" not in events:
                print(f"configuration {number} ended with {events}", file=sys.stderr)
                worst = 1
                continue
            end = events["finished"]
            planned = events["loaded"]["planned_bytes"]
            # The kernel sums its counters roughly: the same peak reads a little less at times.
            measured = max(event.get("peak_bytes", 0) for event in events.values())
            error = planned - measured
            bad = abs(error) > max(0.01 * measured, 16 * MIB) or error < -0.005 * measured
            worst |= bad
            print(f"| {compute} | {'on' if checkpoint else 'off'} | {batch} | {length} | {rank} |"
                  f" {count} | {targets.count(',') + 1} | {threads} | {planned / MIB:.1f} |"
                  f" {measured / MIB:.1f} | {error / MIB:+.1f} ({100 * error / measured:+.2f} %)"
                  f"{' !' if bad else ''} | {end['anonymous_bytes'] / MIB:.1f} |"
                  f" {end['file_bytes'] / MIB:.1f} | {events['step']['seconds']:.2f} s |", flush=True)
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
