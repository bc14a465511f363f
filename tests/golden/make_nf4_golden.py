#!/usr/bin/env python3
"""Makes tests/golden/model/data/nf4.json: a matrix quantized to NF4 with double quantization.

Plain numpy, written from the published definitions (QLoRA, appendix E; 8-bit Optimizers via Block-wise
Quantization, section 2.2) and sharing nothing with the engine that it judges:

    python3 tests/golden/make_nf4_golden.py tests/golden/model/data/nf4.json
"""
import json
import sys

import numpy as np

ROWS, COLS, BLOCK, GROUP = 80, 256, 64, 256
BOOK = np.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0], dtype=np.float32)


def dynamic_map():
    """Signed, 7 exponent bits of 8: linearly spaced fractions between 0.1 and 1 for each power of ten."""
    values = [0.0, 1.0]
    for exponent in range(7):
        bounds = np.linspace(0.1, 1, 2**exponent + 1)
        middles = (bounds[:-1] + bounds[1:]) / 2 * 10.0**(exponent - 6)
        values += list(middles) + list(-middles)
    return np.sort(np.array(values, dtype=np.float32))


def nearest(values, x):
    """Indices into rising `values`; x is compared with the middles between neighbours."""
    middles = np.float32(0.5) * (values[:-1] + values[1:])
    return (x[..., None] > middles).sum(axis=-1).astype(np.uint8)


def weights():
    """Reproducible anywhere: a multiplicative hash of the index, cubed so that sizes vary."""
    index = np.arange(ROWS * COLS, dtype=np.uint64)
    u = (index * np.uint64(2654435761) % np.uint64(2**32)).astype(np.float64) / 2.0**31 - 1.0
    u = u * u * u * (1 + (index // 64 % 7).astype(np.float64)) * 0.0625
    u[640:704] = 0  # a block of zeros
    return u.astype(np.float32)


def quantize(weights):
    """Every part of a matrix (rows, cols) in NF4, and the values that are kept."""
    x = np.ascontiguousarray(weights, dtype=np.float32).reshape(-1, BLOCK)
    absmax = np.abs(x).max(axis=1)
    inverse = np.where(absmax > 0, np.float32(1) / np.where(absmax > 0, absmax, 1), 0).astype(np.float32)
    codes = nearest(BOOK, x * inverse[:, None]).reshape(-1)
    mean = np.float32(absmax.astype(np.float64).sum() / absmax.size)
    scales, indices = [], []
    for begin in range(0, absmax.size, GROUP):
        distance = absmax[begin:begin + GROUP] - mean
        scale = np.abs(distance).max()
        scales.append(scale)
        indices.append(nearest(dynamic_map(), distance * (np.float32(1) / scale)))
    indices = np.concatenate(indices)
    # One rounding, as a fused multiply-add: a product of two floats is exact in double.
    spread = np.repeat(np.array(scales, dtype=np.float64), GROUP)[:absmax.size]
    kept = dynamic_map()[indices].astype(np.float64) * spread + np.float64(mean)
    values = BOOK[codes] * np.repeat(kept.astype(np.float32), BLOCK)
    return dict(codes=codes, absmax=indices, scales=np.array(scales, dtype=np.float32), mean=mean,
                values=values.astype(np.float32).reshape(np.shape(weights)))


def main():
    made = quantize(weights().reshape(ROWS, COLS))
    codes = made["codes"]
    document = {
        "rows": ROWS, "cols": COLS,
        "codes": (codes[0::2] << 4 | codes[1::2]).astype(np.uint8).tobytes().hex(),
        "absmax": made["absmax"].tobytes().hex(),
        "scales": made["scales"].tobytes().hex(),
        "mean": made["mean"].tobytes().hex(),
        "dequantized_first_row": made["values"][0].tobytes().hex(),
        "dequantized_last_row": made["values"][-1].tobytes().hex(),
        "code_book": BOOK.tobytes().hex(), "dynamic_map": dynamic_map().tobytes().hex(),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
