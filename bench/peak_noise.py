#!/usr/bin/env python3
"""Runs trials of the very same configuration and prints by how much their peaks differ.

    bench/peak_noise.py build/release/loadline --runs 30

Of the demo, in the real worker, as bench/plan_against_measured.py has it. In KiB: the mean, the
standard deviation and the range of the peak (VmHWM), and of the pages of files (RssFile) and the
process's own (RssAnon) at the end, which comes after the training's buffers are given back.
"""
import argparse
import os
import statistics
import tempfile

from plan_against_measured import first_spec, run_worker

# compute, batch, rank, layers
CONFIGURATIONS = (("f32", 1, 8, 1), ("f32", 4, 8, 2), ("f32", 2, 64, 6), ("bf16", 6, 8, 6))


def spread(values):
    mean = statistics.mean(values)
    deviation = statistics.pstdev(values)
    return f"{mean:.0f} | {deviation:.1f} ({100 * deviation / mean:.3f} %) | {max(values) - min(values):.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loadline")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--limit", default="2GiB")
    options = parser.parse_args()
    options.loadline = os.path.abspath(options.loadline)
    options.demo = True
    with tempfile.TemporaryDirectory() as folder:
        spec = first_spec(options, folder)
        print("| compute | batch | rank | layers | what | mean | deviation | range | step |\n|" +
              "---|" * 9)
        for compute, batch, rank, layers in CONFIGURATIONS:
            spec["worker"].update(compute=compute, batch_size=batch, lora_rank=rank,
                                  lora_layers=layers, lora_alpha=2.0 * rank, enough_seconds=0,
                                  grad_checkpoint=False, max_steps=options.steps,
                                  adapter_path=os.path.join(folder, "adapter"))
            peaks, files, own, seconds = [], [], [], []
            for _ in range(options.runs):
                heard = []
                last = run_worker(options.loadline, spec, folder, heard)
                peaks.append(max(event.get("peak_bytes", 0) for event in heard) / 1024)
                files.append(last["finished"]["file_bytes"] / 1024)
                own.append(last["finished"]["anonymous_bytes"] / 1024)
                seconds.append(last["step"]["seconds"])
            step = 1000 * statistics.median(seconds)
            for name, values in ("peak", peaks), ("files", files), ("own", own):
                print(f"| {compute} | {batch} | {rank} | {layers} | {name} | {spread(values)} |"
                      f" {step:.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
