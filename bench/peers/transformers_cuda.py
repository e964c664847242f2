"""Hugging Face transformers on the shape of a SmolLM2 with random weights: a peer of the GPU backend.

Measures what `cache-steering bench` measures of decoding and prefill, in bfloat16, twice: eagerly,
and with a static cache and torch.compile (CUDA graphs where there is CUDA). Needs `torch` and
`transformers`, and no network. With the JSON of a `cache-steering bench` of the same shape, taken on
the same device just before, it writes the comparison that bench/ keeps:

    cache-steering bench --synthetic smollm2-360m --quant q8_0 --backend gpu --json ours.json
    python3 bench/peers/transformers_cuda.py --shape smollm2-360m --beside ours.json --json comparison.json
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

SHAPES = {
    "smollm2-135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3),
    "smollm2-360m": dict(hidden_size=960, intermediate_size=2560, num_hidden_layers=32, num_attention_heads=15, num_key_value_heads=5),
}


# The prompt that the comparison is about.
PROMPT = 512


def model_of(shape, layers, device):
    sizes = dict(SHAPES[shape])
    if layers:
        sizes["num_hidden_layers"] = layers
    config = LlamaConfig(
        **sizes,
        head_dim=64,
        vocab_size=49152,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(device=device, dtype=torch.bfloat16).eval()


class Subject:
    """One model, and one way of running it."""

    def __init__(self, model, static):
        self.model = model
        self.static = static
        self.device = next(model.parameters()).device
        self.step = torch.compile(self._step, mode="reduce-overhead", fullgraph=True) if static else self._step

    def _step(self, token, cache, position):
        out = self.model(
            input_ids=token,
            past_key_values=cache,
            position_ids=position[None, :].expand(token.shape[0], -1),
            cache_position=position,
            use_cache=True,
        )
        return out.logits[:, -1].argmax(-1, keepdim=True)

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def cache(self, lanes, length):
        if not self.static:
            return transformers.DynamicCache()
        return StaticCache(config=self.model.config, max_batch_size=lanes, max_cache_len=length, device=self.device, dtype=torch.bfloat16)

    def prompt(self, lanes, length):
        return torch.randint(0, 49152, (lanes, length), device=self.device)

    def fill(self, lanes, length, room):
        """A cache that holds a prompt, filled eagerly."""
        cache = self.cache(lanes, length + room)
        positions = torch.arange(length, device=self.device)
        return cache, self._step(self.prompt(lanes, length), cache, positions)

    def decode_ms(self, context, lanes, steps, rounds):
        """Milliseconds of a step, one figure for each round after the first."""
        cache, token = self.fill(lanes, context, (rounds + 1) * steps)
        at = context
        times = []
        for _ in range(rounds + 1):
            self.synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                # The next input must outlive the graph's own buffer.
                token = self.step(token, cache, torch.tensor([at], device=self.device)).clone()
                at += 1
            self.synchronize()
            times.append((time.perf_counter() - start) * 1000 / steps)
        return times[1:]

    def prefill_ms(self, length, rounds):
        """Milliseconds of a prompt, one figure for each round after the first."""
        times = []
        for _ in range(rounds + 1):
            self.synchronize()
            start = time.perf_counter()
            self.fill(1, length, 0)
            self.synchronize()
            times.append((time.perf_counter() - start) * 1000)
        return times[1:]


def rate(count, times):
    """Tokens per second, as bench/ keeps them."""
    rates = [count * 1000 / ms for ms in times]
    return dict(median=statistics.median(rates), least=min(rates), samples=len(rates))


def measure(subject, args):
    """(figure, tokens per second) of everything that `cache-steering bench` measures as well."""
    for context, lanes in [(128, 1), (128, 2), (128, 4), (128, 8), (2048, 1)]:
        times = subject.decode_ms(context, lanes, args.steps, args.rounds)
        yield ("decode", context, lanes), rate(lanes, times)
    for length in [32, 512]:
        yield ("prefill", length, 1), rate(length, subject.prefill_ms(length, args.rounds))


def engine(name, detail, prefill, decode, tokens):
    return dict(name=name, detail=detail, promptTokens=PROMPT, tokens=tokens, prefill=prefill, decode=decode)


def ours(path):
    """The row of a `cache-steering bench --json`."""
    with open(path) as file:
        report = json.load(file)

    def figure(kind, matches):
        found = next(f for f in report[kind] if matches(f))
        # Their least is the shortest time, which is not the least rate.
        return dict(median=found["tokensPerSecond"], least=None, samples=found["ms"]["samples"])

    prefill = figure("prefill", lambda f: f["tokens"] == PROMPT)
    decode = figure("decode", lambda f: (f["context"], f["lanes"]) == (128, 1))
    name = f"cache-steering, {report['model']['quant']}"
    return engine(name, report["device"]["name"], prefill, decode, 64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-360m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--layers", type=int, help="fewer layers than the shape has, to try the script")
    parser.add_argument("--steps", type=int, default=64, help="decode steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", help="the JSON of a `cache-steering bench` on the same device")
    parser.add_argument("--json", help="where to write the comparison")
    args = parser.parse_args()

    model = model_of(args.shape, args.layers, args.device)
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    engines = []
    with torch.inference_mode():
        for way, static in [("eager", False), ("compiled", True)]:
            figures = {}
            print(f"{versions}, bf16, {way}, {args.shape}, {device}")
            for figure, per_second in measure(Subject(model, static), args):
                figures[figure] = per_second
                kind, length, lanes = figure
                print(f"  {kind:<8} {length:5} tokens, lanes: {lanes} {per_second['median']:10.1f} tokens/s", flush=True)
            prefill, decode = figures["prefill", PROMPT, 1], figures["decode", 128, 1]
            engines.append(engine(f"transformers, bf16, {way}", versions, prefill, decode, args.steps))
    if args.json:
        base = engines[0]["name"]
        if args.beside:
            row = ours(args.beside)
            base = row["name"]
            engines.insert(0, row)
        comparison = dict(
            about=dict(
                date=datetime.date.today().isoformat(),
                # Files without their folders.
                command="python3 bench/peers/transformers_cuda.py " + " ".join(map(os.path.basename, sys.argv[1:])),
                load=os.getloadavg()[0],
                host=f"native; {device}",
            ),
            model=f"{args.shape}, random weights",
            base=base,
            engines=engines,
        )
        with open(args.json, "w") as out:
            json.dump(comparison, out, indent=2)


if __name__ == "__main__":
    main()
