"""Hugging Face transformers on the shape of a SmolLM2 with random weights: a peer of the GPU backend.

Measures what `cache-steering bench` measures of decoding and prefill, in bfloat16, twice: eagerly,
and with a static cache and torch.compile (CUDA graphs where there is CUDA). Needs `torch` and
`transformers`, and no network. Prints a table, and JSON to --json:

    python3 bench/peers/transformers_cuda.py --shape smollm2-360m --json peer.json
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

SHAPES = {
    "smollm2-135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3),
    "smollm2-360m": dict(hidden_size=960, intermediate_size=2560, num_hidden_layers=32, num_attention_heads=15, num_key_value_heads=5),
}


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
        return statistics.median(times[1:])

    def prefill_ms(self, length, rounds):
        times = []
        for _ in range(rounds + 1):
            self.synchronize()
            start = time.perf_counter()
            self.fill(1, length, 0)
            self.synchronize()
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times[1:])


def measure(subject, args):
    figures = []
    for context, lanes in [(128, 1), (128, 2), (128, 4), (128, 8), (2048, 1)]:
        ms = subject.decode_ms(context, lanes, args.steps, args.rounds)
        figures.append(dict(figure=f"decode at {context}, lanes: {lanes}", ms=ms, tokens_per_second=lanes * 1000 / ms))
    for length in [32, 512]:
        ms = subject.prefill_ms(length, args.rounds)
        figures.append(dict(figure=f"prefill, {length} tokens", ms=ms, tokens_per_second=length * 1000 / ms))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-360m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--layers", type=int, help="fewer layers than the shape has, to try the script")
    parser.add_argument("--steps", type=int, default=64, help="decode steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()

    model = model_of(args.shape, args.layers, args.device)
    name = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    report = dict(device=name, shape=args.shape, torch=torch.__version__, transformers=transformers.__version__, runs={})
    with torch.inference_mode():
        for way, static in [("eager", False), ("static cache, compiled", True)]:
            figures = measure(Subject(model, static), args)
            report["runs"][way] = figures
            print(f"transformers {transformers.__version__}, bf16, {way}, {args.shape}, {name}")
            for f in figures:
                print(f"  {f['figure']:<26} {f['ms']:9.3f} ms {f['tokens_per_second']:9.1f} tokens/s")
    if args.json:
        with open(args.json, "w") as out:
            json.dump(report, out, indent=2)


if __name__ == "__main__":
    main()
