#!/usr/bin/env python3
"""Makes tests/golden/model/data: tiny random models, adapters and eight training steps of each.

Plain PyTorch (1.13 or later), float32 on the CPU, gradients by autograd; the decoder below is written out on purpose and
shares nothing with the engine that it judges. Everything follows from the seeds:

    python3 tests/golden/make_model_golden.py tests/golden/model/data [CASE...]
    python3 tests/golden/make_model_golden.py --demo-rows demo tests/golden/model/data
"""
import json
import math
import os
import struct
import sys

import torch

from make_nf4_golden import quantize

torch.set_num_threads(1)
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["o_proj", "down_proj", "qkv_proj", "gate_up_proj"]  # in place of the others in phi3
PATH = {p: ("self_attn." if p[0] in "qkvo" else "mlp.") + p for p in ALL + FUSED}

COMMON = dict(hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=256,
              bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")
CASES = {
    # Grouped queries, tied head, every projection, the last two of three layers.
    "llama_gqa_tied": dict(
        config=dict(COMMON, model_type="llama", vocab_size=113, hidden_size=48, intermediate_size=80,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
                    tie_word_embeddings=True, attention_bias=False),
        targets=ALL, rank=4, alpha=8, layers=2),
    # Llama 3 rope with its three bands, untied head, all layers.
    "llama3_rope_untied": dict(
        config=dict(COMMON, model_type="llama", vocab_size=101, hidden_size=32, intermediate_size=56,
                    num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                    tie_word_embeddings=False, rope_theta=500.0,
                    rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0,
                                      high_freq_factor=4.0, original_max_position_embeddings=64)),
        targets=["q_proj", "v_proj"], rank=3, alpha=6, layers=4),
    # q, k, v biases.
    "qwen2_bias": dict(
        config=dict(COMMON, model_type="qwen2", vocab_size=127, hidden_size=40, intermediate_size=64,
                    num_hidden_layers=4, num_attention_heads=5, num_key_value_heads=1,
                    tie_word_embeddings=True, rms_norm_eps=1e-6, use_sliding_window=False),
        targets=["q_proj", "k_proj", "v_proj", "o_proj"], rank=8, alpha=16, layers=3),
    # A sliding window, heads wider than hidden / heads, the MLP of the last layer alone: no attention backward.
    "mistral_window_mlp": dict(
        config=dict(COMMON, model_type="mistral", vocab_size=109, hidden_size=32, intermediate_size=72,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                    tie_word_embeddings=False, sliding_window=5),
        targets=["gate_proj", "down_proj"], rank=5, alpha=5, layers=1),
    # The same family with gradients through the window, o alone.
    "mistral_window_o": dict(
        config=dict(COMMON, model_type="mistral", vocab_size=109, hidden_size=32, intermediate_size=48,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
                    tie_word_embeddings=True, sliding_window=4),
        targets=["o_proj"], rank=4, alpha=16, layers=3),
    # Biases everywhere.
    "llama_all_biases": dict(
        config=dict(COMMON, model_type="llama", vocab_size=97, hidden_size=32, intermediate_size=40,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
        targets=["k_proj", "up_proj", "down_proj"], rank=2, alpha=4, layers=2),
    # Norms of q's and k's heads, heads of a size of their own, a window in the upper layers alone.
    "qwen3_qk_norm": dict(
        config=dict(COMMON, model_type="qwen3", vocab_size=103, hidden_size=40, intermediate_size=56,
                    num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
                    tie_word_embeddings=True, attention_bias=False, use_sliding_window=True, sliding_window=7,
                    max_window_layers=2),
        targets=["q_proj", "k_proj", "v_proj", "gate_proj"], rank=4, alpha=8, layers=3),
    # Fused projections, a share of each head turned, rows on both sides of longrope's original context.
    "phi3_fused_longrope": dict(
        config=dict(COMMON, model_type="phi3", vocab_size=107, hidden_size=64, intermediate_size=48,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
                    sliding_window=13, partial_rotary_factor=0.75, original_max_position_embeddings=16,
                    rope_scaling=dict(type="longrope", short_factor=[1.0, 1.1, 1.2, 1.5, 2.0, 2.5],
                                      long_factor=[1.5, 2.0, 3.0, 5.0, 9.0, 16.0])),
        targets=FUSED, rank=4, alpha=8, layers=2),
    # Both soft caps, output norms, GeGLU, scaled embedding, a window in every second layer.
    "gemma2_softcaps": dict(
        config=dict({k: v for k, v in COMMON.items() if k != "hidden_act"}, model_type="gemma2", vocab_size=109,
                    hidden_size=48, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
                    num_key_value_heads=2, head_dim=16, hidden_activation="gelu_pytorch_tanh",
                    query_pre_attn_scalar=10, sliding_window=6, attn_logit_softcapping=3.0,
                    final_logit_softcapping=5.0),
        targets=ALL, rank=3, alpha=6, layers=3),
    # No caps, norms of heads, two windowed layers to a full one, each kind with a rope of its own.
    "gemma3_two_ropes": dict(
        config=dict({k: v for k, v in COMMON.items() if k != "hidden_act"}, model_type="gemma3_text", vocab_size=101,
                    hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=2,
                    num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16, sliding_window=8,
                    sliding_window_pattern=3, rope_theta=5000.0, rope_local_base_freq=100.0,
                    rope_scaling=dict(rope_type="linear", factor=4.0)),
        targets=["q_proj", "v_proj", "o_proj", "down_proj"], rank=4, alpha=8, layers=3),
    # The projections in NF4: trained on what quantizing keeps of them.
    "llama_nf4": dict(
        config=dict(COMMON, model_type="llama", vocab_size=101, hidden_size=64, intermediate_size=192,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                    tie_word_embeddings=False),
        targets=ALL, rank=4, alpha=8, layers=2, quantize="nf4"),
    # The four multipliers, and an epsilon that is not lost beside what is normed.
    "granite_multipliers": dict(
        config=dict(COMMON, model_type="granite", vocab_size=101, hidden_size=48, intermediate_size=56,
                    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=0.05,
                    tie_word_embeddings=True, attention_bias=True, mlp_bias=True, embedding_multiplier=1.7,
                    attention_multiplier=0.4, residual_multiplier=0.35, logits_scaling=3.0),
        targets=ALL, rank=3, alpha=6, layers=2),
    # Every second layer without rope, and with a window.
    "smollm3_no_rope": dict(
        config=dict(COMMON, model_type="smollm3", vocab_size=103, hidden_size=40, intermediate_size=48,
                    num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=12, rope_theta=300.0,
                    no_rope_layers=[1, 0, 1, 0], use_sliding_window=True, sliding_window=9),
        targets=["q_proj", "k_proj", "v_proj", "up_proj"], rank=3, alpha=6, layers=3),
    # Norms after attention and MLP alone, and of q and k over all their heads.
    "olmo2_norms_after": dict(
        config=dict(COMMON, model_type="olmo2", vocab_size=107, hidden_size=40, intermediate_size=56,
                    num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
                    tie_word_embeddings=False, attention_bias=True),
        targets=ALL, rank=3, alpha=6, layers=3),
    # The same in NF4, without attention's biases and the MLP's pairs.
    "olmo2_nf4": dict(
        config=dict(COMMON, model_type="olmo2", vocab_size=61, hidden_size=64, intermediate_size=64,
                    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True),
        targets=["q_proj", "k_proj", "v_proj", "o_proj"], rank=2, alpha=4, layers=2, quantize="nf4"),
}
LENGTHS = [[7, 19, 2], [31, 5, 11], [1, 40, 3], [16, 16, 16], [23, 2, 9], [40, 6, 1], [12, 13, 14], [2, 38, 7]]
ADAMW = dict(learning_rate=5e-3, weight_decay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, max_grad_norm=0.5)


def write_safetensors(path, tensors):
    """tensors: name -> (dtype name, tensor)"""
    header, blobs, offset = {}, [], 0
    for name, (dtype, tensor) in tensors.items():
        tensor = tensor.detach().contiguous()
        if dtype == "BF16":
            blob = tensor.to(torch.bfloat16).view(torch.int16).numpy().tobytes()
        else:
            blob = tensor.to(torch.float32).numpy().tobytes()
        header[name] = dict(dtype=dtype, shape=list(tensor.shape), data_offsets=[offset, offset + len(blob)])
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, info in json.loads(raw[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        blob = bytearray(raw[8 + size + begin:8 + size + end])
        kind = {"BF16": torch.bfloat16, "F32": torch.float32}[info["dtype"]]
        tensors[name] = torch.frombuffer(blob, dtype=kind).reshape(info["shape"]).float()
    return tensors


def head_dim(c):
    return c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])


def make_weights(c, seed):
    """Random weights rounded to bf16, as they lie in the file."""
    g = torch.Generator().manual_seed(seed)
    h, hd = c["hidden_size"], head_dim(c)

    def rnd(*shape, std):
        return (torch.randn(*shape, generator=g) * std).to(torch.bfloat16).float()

    def norm(size):
        return rnd(size, std=0.2) + (0 if is_gemma(c) else 1)  # gemma keeps the distance from 1

    w = {"model.embed_tokens.weight": rnd(c["vocab_size"], h, std=0.5)}
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        if not is_olmo2(c):
            w[p + "input_layernorm.weight"] = norm(h)
        w[p + "post_attention_layernorm.weight"] = norm(h)
        if is_gemma(c):
            w[p + "pre_feedforward_layernorm.weight"] = norm(h)
        if is_gemma(c) or is_olmo2(c):
            w[p + "post_feedforward_layernorm.weight"] = norm(h)
        if is_olmo2(c):
            w[p + "self_attn.q_norm.weight"] = norm(c["num_attention_heads"] * hd)
            w[p + "self_attn.k_norm.weight"] = norm(c["num_key_value_heads"] * hd)
        if has_head_norms(c):
            w[p + "self_attn.q_norm.weight"] = norm(hd)
            w[p + "self_attn.k_norm.weight"] = norm(hd)
        for name in FUSED if c["model_type"] == "phi3" else ALL:
            out, inn = make_shape(c, name)
            w[p + PATH[name] + ".weight"] = rnd(out, inn, std=1.2 / math.sqrt(inn))
            attention = name[0] in "qkvo"
            if (c["model_type"] == "qwen2" and name[0] in "qkv" or attention and c.get("attention_bias")
                    or not attention and c.get("mlp_bias")):
                w[p + PATH[name] + ".bias"] = rnd(out, std=0.3)
    w["model.norm.weight"] = norm(h)
    if not is_tied(c):
        w["lm_head.weight"] = rnd(c["vocab_size"], h, std=0.3)
    return {k: v.to(torch.bfloat16).float() for k, v in w.items()}


def is_gemma(c):
    return c["model_type"].startswith("gemma")


def is_olmo2(c):
    return c["model_type"] == "olmo2"


def is_tied(c):
    return c.get("tie_word_embeddings", is_gemma(c) or c["model_type"] == "smollm3")


def has_head_norms(c):
    return c["model_type"] in ("qwen3", "gemma3_text")


def is_windowed(c, n):
    """Whether layer n attends through the window."""
    kind = c["model_type"]
    if kind in ("mistral", "phi3"):
        return c.get("sliding_window") is not None
    if kind in ("qwen2", "qwen3"):
        return bool(c.get("use_sliding_window")) and n >= c["max_window_layers"]
    if kind == "gemma2":
        return n % 2 == 0
    if kind == "smollm3":
        return bool(c.get("use_sliding_window")) and not has_rope(c, n)
    return kind == "gemma3_text" and (n + 1) % c["sliding_window_pattern"] != 0


def has_rope(c, n):
    return c["model_type"] != "smollm3" or c["no_rope_layers"][n] == 1


def llama3_frequencies(inv, s):
    scaled = []
    for f in inv.tolist():
        wave = 2 * math.pi / f
        low = s["original_max_position_embeddings"] / s["low_freq_factor"]
        high = s["original_max_position_embeddings"] / s["high_freq_factor"]
        if wave < high:
            scaled.append(f)
        elif wave > low:
            scaled.append(f / s["factor"])
        else:
            smooth = (s["original_max_position_embeddings"] / wave - s["low_freq_factor"]) / (
                s["high_freq_factor"] - s["low_freq_factor"])
            scaled.append((1 - smooth) * f / s["factor"] + smooth * f)
    return torch.tensor(scaled, dtype=torch.float64)


def rope_of(c, t, windowed):
    """Frequencies of a layer for a row of t tokens, and what cos and sin are multiplied by."""
    dim = int(head_dim(c) * c.get("partial_rotary_factor", 1.0))
    local = c["model_type"] == "gemma3_text" and windowed
    theta = c["rope_local_base_freq"] if local else c["rope_theta"]
    inv = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim))
    s = c.get("rope_scaling")
    if not s or local:
        return inv, 1.0
    kind = s.get("rope_type", s.get("type"))
    if kind == "llama3":
        return llama3_frequencies(inv, s), 1.0
    if kind == "linear":
        return inv / s["factor"], 1.0
    original = c["original_max_position_embeddings"]
    factors = s["long_factor"] if t > original else s["short_factor"]
    stretch = c["max_position_embeddings"] / original
    return (inv / torch.tensor(factors, dtype=torch.float64),
            math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0)


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def row_logits(c, w, lora, scale, ids):
    """ids: (T); logits (T,V). One row alone: no batch, no padding."""
    t, nh, nkv, hd = len(ids), c["num_attention_heads"], c["num_key_value_heads"], head_dim(c)
    gemma, granite, eps = is_gemma(c), c["model_type"] == "granite", c["rms_norm_eps"]

    def norm(name, x):
        return rms_norm(x, w[name + ".weight"] + (1 if gemma else 0), eps)

    def rope(x, windowed):  # (heads, T, HD): halves of the first elements rotated
        inv, magnitude = rope_of(c, t, windowed)
        angle = torch.arange(t, dtype=torch.float64)[:, None] * inv[None, :]
        cos, sin = (angle.cos() * magnitude).float()[None], (angle.sin() * magnitude).float()[None]
        half = len(inv)
        a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)

    def linear(n, name, x):
        p = f"model.layers.{n}.{PATH[name]}"
        y = x @ w[p + ".weight"].T
        if p + ".bias" in w:
            y = y + w[p + ".bias"]
        if (n, name) in lora:
            a, b = lora[n, name]
            y = y + scale * ((x @ a.T) @ b.T)
        return y

    def cap(x, limit):
        return limit * torch.tanh(x / limit) if limit else x

    def attention(n, h):
        p = f"model.layers.{n}."
        if c["model_type"] == "phi3":
            q, k, v = linear(n, "qkv_proj", h).split([nh * hd, nkv * hd, nkv * hd], -1)
        else:
            q, k, v = linear(n, "q_proj", h), linear(n, "k_proj", h), linear(n, "v_proj", h)
        if is_olmo2(c):
            q, k = norm(p + "self_attn.q_norm", q), norm(p + "self_attn.k_norm", k)
        q, k, v = q.view(t, nh, hd), k.view(t, nkv, hd), v.view(t, nkv, hd)
        if has_head_norms(c):
            q, k = norm(p + "self_attn.q_norm", q), norm(p + "self_attn.k_norm", k)
        windowed = is_windowed(c, n)
        q, k = q.transpose(0, 1), k.transpose(0, 1)
        if has_rope(c, n):
            q, k = rope(q, windowed), rope(k, windowed)
        k, v = k.repeat_interleave(nh // nkv, 0), v.transpose(0, 1).repeat_interleave(nh // nkv, 0)
        scores = q @ k.transpose(1, 2)
        if granite:
            scores = scores * c["attention_multiplier"]
        else:
            scores = cap(scores / math.sqrt(c.get("query_pre_attn_scalar", hd)), c.get("attn_logit_softcapping"))
        i, j = torch.arange(t)[:, None], torch.arange(t)[None, :]
        seen = j <= i
        if windowed:
            seen = seen & (j > i - c["sliding_window"])
        out = scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v
        return linear(n, "o_proj", out.transpose(0, 1).reshape(t, nh * hd))

    def mlp(n, h):
        if c["model_type"] == "phi3":
            gate, up = linear(n, "gate_up_proj", h).chunk(2, -1)
        else:
            gate, up = linear(n, "gate_proj", h), linear(n, "up_proj", h)
        if gemma:  # torch 1.13 has approximate="tanh"
            return linear(n, "down_proj", torch.nn.functional.gelu(gate, approximate="tanh") * up)
        return linear(n, "down_proj", torch.nn.functional.silu(gate) * up)

    x = w["model.embed_tokens.weight"][ids]
    if gemma:
        x = x * math.sqrt(c["hidden_size"])
    if granite:
        x = x * c["embedding_multiplier"]
    added = c["residual_multiplier"] if granite else 1
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        if is_olmo2(c):
            x = x + norm(p + "post_attention_layernorm", attention(n, x))
            x = x + norm(p + "post_feedforward_layernorm", mlp(n, x))
            continue
        out = attention(n, norm(p + "input_layernorm", x))
        if gemma:
            x = x + norm(p + "post_attention_layernorm", out)
            out = mlp(n, norm(p + "pre_feedforward_layernorm", x))
            x = x + norm(p + "post_feedforward_layernorm", out)
        else:
            x = x + out * added
            x = x + mlp(n, norm(p + "post_attention_layernorm", x)) * added
    logits = norm("model.norm", x) @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T
    return cap(logits / c.get("logits_scaling", 1), c.get("final_logit_softcapping"))


def make_lora(c, case, seed):
    g = torch.Generator().manual_seed(seed)
    lora = {}
    last = c["num_hidden_layers"]
    for n in range(last - case["layers"], last):
        for name in case["targets"]:
            out, inn = make_shape(c, name)
            a = (torch.rand(case["rank"], inn, generator=g) * 2 - 1) / math.sqrt(inn)
            b = torch.randn(out, case["rank"], generator=g) * 0.2
            lora[n, name] = (a.requires_grad_(), b.requires_grad_())
    return lora


def make_shape(c, name):
    h, inter, hd = c["hidden_size"], c["intermediate_size"], head_dim(c)
    qw, kw = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    return {"q_proj": (qw, h), "k_proj": (kw, h), "v_proj": (kw, h), "o_proj": (h, qw),
            "gate_proj": (inter, h), "up_proj": (inter, h), "down_proj": (h, inter),
            "qkv_proj": (qw + 2 * kw, h), "gate_up_proj": (2 * inter, h)}[name]


def save_adapter(folder, c, case, lora):
    os.makedirs(folder, exist_ok=True)
    tensors = {}
    for (n, name), (a, b) in lora.items():
        p = f"base_model.model.model.layers.{n}.{PATH[name]}."
        tensors[p + "lora_A.weight"] = ("F32", a)
        tensors[p + "lora_B.weight"] = ("F32", b)
    write_safetensors(f"{folder}/adapter_model.safetensors", tensors)
    last = c["num_hidden_layers"]
    json.dump(dict(peft_type="LORA", task_type="CAUSAL_LM", base_model_name_or_path="tiny", r=case["rank"],
                   lora_alpha=case["alpha"], lora_dropout=0.0, bias="none", target_modules=case["targets"],
                   layers_to_transform=list(range(last - case["layers"], last))),
              open(f"{folder}/adapter_config.json", "w"), indent=1)


def make_batch(c, lengths, g):
    """Rows of random ids; a third of the predictions, at a row's start, is masked as a prompt would be."""
    rows = []
    for length in lengths:
        ids = torch.randint(0, c["vocab_size"], (length,), generator=g).tolist()
        targets = ids[1:] + [-1]
        masked = length // 3
        rows.append((ids, [-1] * masked + targets[masked:]))
    return rows


def batch_loss(c, w, lora, scale, rows):
    total, count = 0.0, 0
    for ids, targets in rows:
        keep = [i for i, t in enumerate(targets) if t >= 0]
        if not keep:
            continue
        logits = row_logits(c, w, lora, scale, torch.tensor(ids))[keep]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor([targets[i] for i in keep]),
                                                          reduction="sum")
        count += len(keep)
    return total / count, count


def quantized(c, w):
    """What NF4 keeps of the projections; those that lie in one matrix of the engine are quantized as one."""
    w = dict(w)
    for n in range(c["num_hidden_layers"]):
        for together in [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]:
            names = [f"model.layers.{n}.{PATH[p]}.weight" for p in together]
            kept = torch.from_numpy(quantize(torch.cat([w[name] for name in names]).numpy())["values"])
            for name, part in zip(names, kept.split([w[name].shape[0] for name in names])):
                w[name] = part
    return w


def make_case(name, case, folder, seed):
    c = case["config"]
    os.makedirs(folder, exist_ok=True)
    w = make_weights(c, seed)
    json.dump(c, open(f"{folder}/config.json", "w"), indent=1)
    write_safetensors(f"{folder}/model.safetensors", {k: ("BF16", v) for k, v in w.items()})
    if case.get("quantize") == "nf4":
        w = quantized(c, w)
    lora = make_lora(c, case, seed + 1)
    save_adapter(f"{folder}/before", c, case, lora)
    scale = case["alpha"] / case["rank"]
    parameters = [p for pair in lora.values() for p in pair]
    adam = torch.optim.AdamW(parameters, lr=ADAMW["learning_rate"], betas=(ADAMW["beta1"], ADAMW["beta2"]),
                             eps=ADAMW["epsilon"], weight_decay=ADAMW["weight_decay"])
    g = torch.Generator().manual_seed(seed + 2)
    steps = []
    for lengths in LENGTHS:
        rows = make_batch(c, lengths, g)
        adam.zero_grad()
        loss, count = batch_loss(c, w, lora, scale, rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, ADAMW["max_grad_norm"])
        adam.step()
        steps.append(dict(rows=[dict(ids=i, targets=t) for i, t in rows], targets=count, loss=loss.item(),
                          grad_norm=norm.item()))
    save_adapter(f"{folder}/after", c, case, lora)
    json.dump(dict(adamw=ADAMW, quantize=case.get("quantize", "none"), steps=steps), open(f"{folder}/steps.json", "w"), separators=(",", ":"))
    print(name, " ".join(f"{s['loss']:.5f}" for s in steps), "| norm", " ".join(f"{s['grad_norm']:.3f}" for s in steps))


def demo_rows(demo, folder):
    """The ids of the demo's validation rows whose losses are in golden.json, made by SentencePiece-style BPE merges as
    tokenizer.json says, so that the engine is judged without our tokenizer."""
    tokenizer = json.load(open(f"{demo}/model/tokenizer.json"))
    vocab = tokenizer["model"]["vocab"]
    merges = tokenizer["model"]["merges"]
    merges = [m.split(" ") if isinstance(m, str) else m for m in merges]
    rank = {tuple(m): i for i, m in enumerate(merges)}
    special = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}

    def encode(text):
        pieces = list(text.replace(" ", "\u2581"))
        while len(pieces) > 1:
            best = min(range(len(pieces) - 1), key=lambda i: rank.get((pieces[i], pieces[i + 1]), 1 << 30))
            if (pieces[best], pieces[best + 1]) not in rank:
                break
            pieces[best:best + 2] = [pieces[best] + pieces[best + 1]]
        ids = []
        for piece in pieces:
            ids += [vocab[piece]] if piece in vocab else [vocab[f"<0x{b:02X}>"] for b in piece.encode()]
        return ids

    golden = json.load(open(f"{demo}/golden.json"))
    for sample in golden["tokens"]:
        ids, rest = [], sample["text"]
        while rest:
            hit = min(((rest.find(s), s) for s in ("<|im_start|>", "<|im_end|>") if s in rest), default=(len(rest), ""))
            ids += encode(rest[:hit[0]]) if hit[0] else []
            ids += [special[hit[1]]] if hit[1] else []
            rest = rest[hit[0] + len(hit[1]):]
        assert ids == sample["ids"], (ids, sample)
    rows = []
    lines = open(f"{demo}/data/valid.jsonl").read().splitlines()
    start, end = special["<|im_start|>"], special["<|im_end|>"]
    for want in golden["losses"]:
        ids = []
        for message in json.loads(lines[want["line"] - 1])["messages"]:
            ids += [start] + encode(message["role"] + "\n" + message["content"]) + [end] + encode("\n")
        assert len(ids) == want["tokens"], (len(ids), want)
        rows.append(dict(ids=ids, loss=want["loss_f32"]))
    json.dump(dict(rows=rows), open(f"{folder}/demo_rows.json", "w"), separators=(",", ":"))
    print("demo rows:", len(rows))


if __name__ == "__main__":
    if sys.argv[1] == "--demo-rows":
        demo_rows(sys.argv[2], sys.argv[3])
    else:
        for number, (name, case) in enumerate(CASES.items()):
            if len(sys.argv) > 2 and name not in sys.argv[2:]:
                continue
            make_case(name, case, f"{sys.argv[1]}/{name}", 1000 + 10 * number)
