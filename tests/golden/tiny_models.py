"""Golden logits and attention of tiny models with made-up weights, by Hugging Face transformers.

Writes tiny_models.json (sizes, tokens, RoPE factors) and tiny_models.safetensors (logits, and
weights of attention) beside itself. The weights are not stored: value i of tensor n is the same integer hash here and in
tests/native/tiny_models.rs.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SIZES = {
    "vocab_size": 320,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
# A prompt, and tokens that are decoded after it one at a time.
PROMPT = [(i * 7919 + 13) % 320 for i in range(72)]
DECODE = [5, 300, 17, 4, 128]
# Positions of the prompt whose logits and attention are kept.
KEPT = [0, 35, 71]

# The tensors of a layer, in their order in the engine: the number of one is 16 for each layer, and
# its place here. The embedding is tensor 0, the last norm 1, the head 2.
LAYER = [
    "input_layernorm.weight",
    "self_attn.q_proj.weight",
    "self_attn.q_proj.bias",
    "self_attn.k_proj.weight",
    "self_attn.k_proj.bias",
    "self_attn.v_proj.weight",
    "self_attn.v_proj.bias",
    "self_attn.o_proj.weight",
    "post_attention_layernorm.weight",
    "mlp.gate_proj.weight",
    "mlp.up_proj.weight",
    "mlp.down_proj.weight",
]
OTHERS = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]


def number(name):
    """The number of a tensor, or None for one that stays zero."""
    if name in OTHERS:
        return OTHERS.index(name)
    _, _, layer, rest = name.split(".", 3)
    return 16 * (int(layer) + 1) + LAYER.index(rest) if rest in LAYER else None


def uniform(tensor, count):
    """Numbers from -1 to 1 that are exact in float32: the finaliser of MurmurHash3."""
    h = np.arange(count, dtype=np.uint32) + np.uint32(tensor << 20)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def values(name, shape):
    n = number(name)
    if n is None:
        return np.zeros(shape, dtype=np.float32)
    u = uniform(n, int(np.prod(shape))).reshape(shape)
    if name.endswith("norm.weight"):
        return np.float32(1) + u / np.float32(4)
    if name.endswith("bias") or name == OTHERS[0]:
        return u
    return u / np.float32(4)


def run(model):
    state = {name: torch.from_numpy(values(name, tuple(t.shape))) for name, t in model.named_parameters()}
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    model.eval()
    rows = []
    with torch.no_grad():
        out = model(torch.tensor([PROMPT]), use_cache=True, output_attentions=True)
        # [layer, head, query, key], as [key, layer, query, head].
        attention = torch.stack(out.attentions)[:, 0, :, KEPT].permute(3, 0, 2, 1)
        rows += [out.logits[0, position].numpy() for position in KEPT]
        for token in DECODE:
            out = model(torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
            rows.append(out.logits[0, -1].numpy())
    return np.stack(rows), attention.contiguous().numpy()


def factors(model):
    """What the frequencies of the base are divided by."""
    head = model.config.hidden_size // model.config.num_attention_heads
    base = 10_000.0 ** (-np.arange(0, head, 2, dtype=np.float64) / head)
    return (base / model.model.rotary_emb.inv_freq.double().numpy()).tolist()


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS = {
    # Its head is its embedding.
    "qwen2": Qwen2ForCausalLM(
        Qwen2Config(
            **SIZES,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            tie_word_embeddings=True,
            attn_implementation="eager",
        )
    ),
    # A head of its own, positions stretched, and biases, which a llama file may have as well.
    "llama": LlamaForCausalLM(
        LlamaConfig(
            **SIZES,
            rope_parameters=LLAMA3,
            attention_bias=True,
            tie_word_embeddings=False,
            attn_implementation="eager",
        )
    ),
}

if __name__ == "__main__":
    here = Path(__file__).parent
    golden = {
        "prompt": PROMPT,
        "decode": DECODE,
        "kept": KEPT,
        "llama_rope_factors": factors(MODELS["llama"]),
    }
    (here / "tiny_models.json").write_text(json.dumps(golden) + "\n")
    tensors = {}
    for name, model in MODELS.items():
        tensors[name], tensors[f"{name}.attention"] = run(model)
    save_file(tensors, here / "tiny_models.safetensors")
