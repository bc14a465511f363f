#!/usr/bin/env python3
"""Makes tests/golden/training/demo_run.json: 100 updates on the demo's chat data by plain PyTorch (1.13 or later).

The model is that of ../make_model_golden.py, the optimizer torch.optim.AdamW, the clipping torch's own. Seed adapter and order
of rows are Loadline's, written out again below; the token ids come from `loadline tokenize`, which has goldens of its own.

    python3 tests/golden/training/make_demo_run.py build/release/loadline demo tests/golden/training/demo_run.json
"""
import json
import math
import os
import subprocess
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from make_model_golden import make_shape, read_safetensors, row_logits  # noqa: E402

MASK, GAMMA = (1 << 64) - 1, 0x9E3779B97F4A7C15
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RUN = dict(seed=5, rows=200, valid_rows=10, seq=64, batch=4, steps=100, rank=4, alpha=8.0, layers=6,
           targets=["q_proj", "v_proj"], rate=2e-3, warmup=5, weight_decay=0.01, max_grad_norm=1.0)


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class SplitMix:
    def __init__(self, state):
        self.state = state & MASK

    def next(self):
        self.state = (self.state + GAMMA) & MASK
        return mix(self.state)

    def below(self, bound):
        reject = (-bound & MASK) % bound
        while True:
            x = self.next()
            if x >= reject:
                return x % bound


def permutation(seed, epoch, count):
    random = SplitMix(mix(mix(seed) ^ ((epoch + GAMMA) & MASK)))
    order = list(range(count))
    for left in range(count, 1, -1):
        other = random.below(left)
        order[left - 1], order[other] = order[other], order[left - 1]
    return order


def seed_adapter(config):
    lora = {}
    for n in range(config["num_hidden_layers"] - RUN["layers"], config["num_hidden_layers"]):
        for name in RUN["targets"]:
            out, inn = make_shape(config, name)
            place = n * len(PROJECTIONS) + PROJECTIONS.index(name)
            random = SplitMix(SplitMix(SplitMix(RUN["seed"]).next() ^ (place + 1)).next())
            draws = [((random.next() >> 40) + 0.5) / (1 << 23) - 1.0 for _ in range(RUN["rank"] * inn)]
            a = torch.tensor(draws, dtype=torch.float32) * torch.tensor(1.0 / math.sqrt(inn), dtype=torch.float32)
            lora[n, name] = (a.reshape(RUN["rank"], inn).requires_grad_(),
                             torch.zeros(out, RUN["rank"]).requires_grad_())
    return lora


def token_ids(program, model, path, count):
    chats = []
    for line in open(path).read().splitlines()[:count]:
        chats.append("".join("<|im_start|>%s\n%s<|im_end|>\n" % (m["role"], m["content"])
                             for m in json.loads(line)["messages"]))
    ids = []
    for chat in chats:
        out = subprocess.run([program, "tokenize", "--no-special", "--model", model], input=chat, text=True,
                             check=True, stdout=subprocess.PIPE).stdout
        ids.append([int(i) for i in out.replace(",", " ").replace("[", " ").replace("]", " ").split()][:RUN["seq"]])
    return ids


def summed_loss(config, weights, lora, ids):
    logits = row_logits(config, weights, lora, RUN["alpha"] / RUN["rank"], torch.tensor(ids))
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum"), len(ids) - 1


def validation(config, weights, lora, rows):
    with torch.no_grad():
        sums = [summed_loss(config, weights, lora, ids) for ids in rows]
    return float(sum(s for s, _ in sums)) / sum(n for _, n in sums)


def rate_at(step):
    done = step - 1
    if done < RUN["warmup"]:
        return RUN["rate"] * done / RUN["warmup"]
    return RUN["rate"] * 0.5 * (1 + math.cos(math.pi * (done - RUN["warmup"]) / (RUN["steps"] - RUN["warmup"])))


def main(program, demo, target):
    config = json.load(open(f"{demo}/model/config.json"))
    weights = read_safetensors(f"{demo}/model/model.safetensors")
    train = token_ids(program, f"{demo}/model", f"{demo}/data/train.jsonl", RUN["rows"])
    valid = token_ids(program, f"{demo}/model", f"{demo}/data/valid.jsonl", RUN["valid_rows"])
    lora = seed_adapter(config)
    parameters = [p for pair in lora.values() for p in pair]
    optimizer = torch.optim.AdamW(parameters, lr=RUN["rate"], weight_decay=RUN["weight_decay"])
    order = [row for epoch in range(2) for row in permutation(RUN["seed"], epoch, RUN["rows"])]
    valid_losses, train_losses = [validation(config, weights, lora, valid)], []
    for step in range(1, RUN["steps"] + 1):
        rows = order[(step - 1) * RUN["batch"]:step * RUN["batch"]]
        optimizer.zero_grad()
        sums = [summed_loss(config, weights, lora, train[row]) for row in rows]
        loss = sum(s for s, _ in sums) / sum(n for _, n in sums)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, RUN["max_grad_norm"])
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        optimizer.step()
        if step == 1 or step % 10 == 0:
            train_losses.append([step, loss.item()])
    valid_losses.append(validation(config, weights, lora, valid))
    with open(target, "w") as out:
        json.dump(dict(run=RUN, valid_losses=valid_losses, train_losses=train_losses), out, indent=1)
        out.write("\n")
    print(valid_losses, train_losses)


if __name__ == "__main__":
    main(*sys.argv[1:4])
