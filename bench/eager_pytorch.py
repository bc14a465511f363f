#!/usr/bin/env python3
"""LoRA training as transformers and PEFT run it eagerly, written out in plain PyTorch.

The peer that docs/performance.md compares with: bf16 base, f32 LoRA of rank 8 on q, k, v and o of
the last 16 layers, attention with (T,T) scores, whole logits made f32, cross-entropy, gradient
clipping, AdamW. Weights are random: their values do not change the work. Prints one JSON object.

    OMP_NUM_THREADS=2 bench/eager_pytorch.py smollm-135m --batch 4 --length 512 --steps 3
"""
import argparse
import json
import math
import time

import torch
from torch import nn
from torch.nn import functional

from random_model import SHAPES


class LoraLinear(nn.Module):
    def __init__(self, inputs, outputs, rank):
        super().__init__()
        weight = torch.empty(outputs, inputs, dtype=torch.bfloat16).normal_(0, 0.02)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = 2.0
        self.a = self.b = None
        if rank:
            self.a = nn.Parameter(torch.empty(rank, inputs).uniform_(-1, 1) / math.sqrt(inputs))
            self.b = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        y = functional.linear(x, self.weight)
        if self.a is None:
            return y
        # As PEFT: the input goes to the adapter's type, the sum back to the base's.
        inner = functional.linear(x.to(self.a.dtype), self.a)
        return (y + functional.linear(inner, self.b) * self.scale).to(x.dtype)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, dtype=torch.bfloat16), requires_grad=False)

    def forward(self, x):
        f = x.float()
        f = f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + 1e-5)
        return self.weight * f.to(x.dtype)


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Layer(nn.Module):
    def __init__(self, shape, rank):
        super().__init__()
        hidden, intermediate, _, self.heads, self.kv_heads, _, _ = shape
        self.width = hidden // self.heads
        kv = self.width * self.kv_heads
        self.input_norm, self.post_norm = Norm(hidden), Norm(hidden)
        self.q, self.o = LoraLinear(hidden, hidden, rank), LoraLinear(hidden, hidden, rank)
        self.k, self.v = LoraLinear(hidden, kv, rank), LoraLinear(hidden, kv, rank)
        self.gate = LoraLinear(hidden, intermediate, 0)
        self.up = LoraLinear(hidden, intermediate, 0)
        self.down = LoraLinear(intermediate, hidden, 0)

    def attention(self, x, mask, cos, sin):
        batch, length, hidden = x.shape

        def split(y, heads):
            return y.view(batch, length, heads, self.width).transpose(1, 2)

        q = rotate(split(self.q(x), self.heads), cos, sin)
        k = rotate(split(self.k(x), self.kv_heads), cos, sin)
        v = split(self.v(x), self.kv_heads)
        k = k.repeat_interleave(self.heads // self.kv_heads, 1)
        v = v.repeat_interleave(self.heads // self.kv_heads, 1)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.width) + mask
        probabilities = functional.softmax(scores, -1, dtype=torch.float32).to(q.dtype)
        mixed = (probabilities @ v).transpose(1, 2).reshape(batch, length, hidden)
        return self.o(mixed)

    def forward(self, x, mask, cos, sin):
        x = x + self.attention(self.input_norm(x), mask, cos, sin)
        y = self.post_norm(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    def __init__(self, shape, rank, adapted):
        super().__init__()
        hidden, _, layers, heads, _, vocabulary, tied = shape
        self.embedding = nn.Embedding(vocabulary, hidden, dtype=torch.bfloat16)
        self.embedding.weight.requires_grad_(False)
        self.layers = nn.ModuleList(
            Layer(shape, rank if layer >= layers - adapted else 0) for layer in range(layers))
        self.norm = Norm(hidden)
        self.head = LoraLinear(hidden, vocabulary, 0)
        if tied:
            self.head.weight = self.embedding.weight
        self.width = hidden // heads

    def forward(self, ids):
        length = ids.shape[1]
        frequencies = 10000.0 ** (-torch.arange(0, self.width, 2) / self.width)
        angles = torch.outer(torch.arange(length), frequencies).repeat(1, 2)
        cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
        lowest = torch.finfo(torch.bfloat16).min
        mask = torch.full((length, length), lowest, dtype=torch.bfloat16).triu(1)
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, mask, cos, sin)
        return self.head(self.norm(x)).float()


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--layers", type=int, default=16)
    options = parser.parse_args()
    torch.manual_seed(1)
    shape = SHAPES[options.shape]
    model = Model(shape, options.rank, options.layers)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    seconds, loss = [], None
    for _ in range(options.steps):
        ids = torch.randint(3, shape[5], (options.batch, options.length))
        start = time.monotonic()
        logits = model(ids)[:, :-1].reshape(-1, shape[5])
        loss = functional.cross_entropy(logits, ids[:, 1:].reshape(-1))
        del logits
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.monotonic() - start)
    steady = sorted(seconds[1:] or seconds)
    step = steady[len(steady) // 2]
    print(json.dumps({"shape": options.shape, "batch": options.batch, "length": options.length,
                      "loss": loss.item(), "step_seconds": step, "seconds": seconds,
                      "tokens_per_second": options.batch * options.length / step,
                      "peak_bytes": peak_bytes(), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
