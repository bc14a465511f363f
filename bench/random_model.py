#!/usr/bin/env python3
"""Writes a model folder of a known shape with random bf16 weights, and rows of random token ids.

For measuring memory and speed only: such a model knows nothing. Needs plain Python 3, no torch.

    bench/random_model.py smollm-135m /tmp/smollm --rows 64 --length 512
    loadline find --model /tmp/smollm --data /tmp/smollm/rows.jsonl --max-seq-length 512
"""
import argparse
import json
import os
import random
import struct

# hidden, intermediate, layers, heads, key-value heads, vocabulary, tied embeddings
SHAPES = {
    "smollm-135m": (576, 1536, 30, 9, 3, 49152, True),
    "llama-1.1b": (2048, 5632, 22, 32, 4, 32000, False),
    "mistral-7b": (4096, 14336, 32, 32, 8, 32000, False),
}
PIECE = 1 << 20  # weights that are drawn, then repeated


def config(shape):
    hidden, intermediate, layers, heads, kv_heads, vocabulary, tied = shape
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary,
        "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "hidden_act": "silu",
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2,
        "torch_dtype": "bfloat16",
    }


def tensors(shape):
    """Name and dimensions of every tensor."""
    hidden, intermediate, layers, heads, kv_heads, vocabulary, tied = shape
    kv_width = hidden // heads * kv_heads
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(layers):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", (hidden,)
        yield name + "post_attention_layernorm.weight", (hidden,)
        yield name + "self_attn.q_proj.weight", (hidden, hidden)
        yield name + "self_attn.k_proj.weight", (kv_width, hidden)
        yield name + "self_attn.v_proj.weight", (kv_width, hidden)
        yield name + "self_attn.o_proj.weight", (hidden, hidden)
        yield name + "mlp.gate_proj.weight", (intermediate, hidden)
        yield name + "mlp.up_proj.weight", (intermediate, hidden)
        yield name + "mlp.down_proj.weight", (hidden, intermediate)
    yield "model.norm.weight", (hidden,)
    if not tied:
        yield "lm_head.weight", (vocabulary, hidden)


def size(dimensions):
    elements = 1
    for dimension in dimensions:
        elements *= dimension
    return 2 * elements


def random_weights(generator):
    """PIECE bf16 numbers, normal with a deviation of 0.02."""
    floats = struct.pack(f"<{PIECE}f", *(generator.gauss(0, 0.02) for _ in range(PIECE)))
    weights = bytearray(2 * PIECE)
    weights[0::2] = floats[2::4]  # the upper half of a float is a bf16
    weights[1::2] = floats[3::4]
    return bytes(weights)


def write_weights(path, shape, generator):
    header, at = {}, 0
    for name, dimensions in tensors(shape):
        end = at + size(dimensions)
        header[name] = {"dtype": "BF16", "shape": dimensions, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    piece = random_weights(generator)
    one = struct.pack("<H", 0x3F80)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, dimensions in tensors(shape):
            count = size(dimensions)
            if len(dimensions) == 1:
                out.write(one * dimensions[0])
                continue
            start = 2 * generator.randrange(PIECE)
            rotated = piece[start:] + piece[:start]
            for begin in range(0, count, len(rotated)):
                out.write(rotated[:min(len(rotated), count - begin)])


def write_rows(path, shape, rows, lengths, generator):
    with open(path, "w", encoding="utf-8") as out:
        for _ in range(rows):
            count = generator.randint(*lengths)
            ids = [generator.randrange(3, shape[5]) for _ in range(count)]
            out.write(json.dumps({"input_ids": ids}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=512, help="the longest row, in tokens")
    parser.add_argument("--shortest", type=int, help="the shortest row; equal to --length")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    generator = random.Random(options.seed)
    os.makedirs(options.folder, exist_ok=True)
    with open(os.path.join(options.folder, "config.json"), "w", encoding="utf-8") as out:
        json.dump(config(shape), out, indent=1)
    write_weights(os.path.join(options.folder, "model.safetensors"), shape, generator)
    shortest = options.shortest or options.length
    write_rows(os.path.join(options.folder, "rows.jsonl"), shape, options.rows,
               (shortest, options.length), generator)


if __name__ == "__main__":
    main()
