"""Golden ids of small tokenizers that cut text as Qwen2's and Llama 3's do.

Writes small_tokenizers.json beside itself: vocabularies that Hugging Face tokenizers trained on the
texts below, the ids that it gives, and prompts as transformers makes them of a chat template. The
rules for cutting text are those of the models' published tokenizer.json; the module `regex` has to
cut alike.
"""

import json
import unicodedata
from pathlib import Path

import regex
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

START = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
END = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

CORPUS = [
    "The river bends where the old mill stood, and the miller's wheel still turns in the rain.",
    "In 1984 there were 365 days, 8,760 hours and 525,600 minutes; 2024 had 366 days.",
    "He said: \"I've seen it, they'll see it, we'd see it, isn't it?\" They're sure; I'm not.",
    "def area(width, height):\n    if width < 0:\n        return None\n    return width * height\n",
    "Größe, Übung, café, naïve, señor. 日本語の文章。 Привет, мир! ½ ¾ ①②③ ٣٤٥",
    "\n\n- one\n- two\r\n\r\n\t- three   \n    ",
] * 3

TEXTS = [
    "",
    " ",
    "   ",
    "\n",
    " \n \n\n  x",
    "Hello, World!",
    "don't DON'T we'Ll I'VE o'clock 'tis",
    "1234567 12 3.14159 1,000,000 2024年 x1y22z333",
    "½ ¾ ①②③ ٣٤٥٦ Ⅷ",
    "a  b   c    d\t\te \t f",
    "trailing   ",
    "   leading",
    "line\nline\r\nline\n\n\nline  \n  line",
    "!?!? ...---... (parens) [x] {y} </s> <tag>\n#!/bin/sh\n",
    "café cafe\u0301 A\u030a \u1e9b\u0323 \uac00 \u1100\u1161 q\u0307\u0323",
    "日本語の文章。Привет, мир! שלום عربى",
    "👩‍👩‍👧 🇩🇪 😀! x😀y",
    "the river therein restrawberry strawberry  strawberry",
    "<|begin|>user<|turn|> <|turn|>\n<think>hmm</think> <|unknown|>",
    "<think> a <think>\n\n</think>",
    "ſ 'ſ 'S K'S \u00a0nbsp\u00a0\u3000wide\u2028sep\x0b\x0c",
    "\x00\x01 \x7f \ufffd \ufeffbom",
    "A_b-c.d/e\\f@g#h$i%j^k&l*m(n)o+p=q~r`s|t",
    "supercalifragilistic" * 3,
]

CHAT = """{{- bos_token }}
{%- if not tools is defined %}{% set tools = none %}{% endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = 'Help.' %}
{%- endif %}
{{- '<|turn|>system\\n\\n' + system + '<|end|>' }}
{%- if tools is not none %}{{ raise_exception('no tools') }}{% endif %}
{%- for message in messages %}
    {%- if loop.index0 % 2 == 0 and message['role'] != 'user' or 'tool_calls' in message %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {{- '<|turn|>' + message['role'] + '\\n\\n' + message.content | trim + '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|turn|>assistant\\n\\n' }}
{%- endif %}
"""
MESSAGES = [
    [{"role": "user", "content": " The river's 1234 bends?\n"}],
    [
        {"role": "system", "content": "Be brief. "},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "In 1984."},
        {"role": "user", "content": "They're sure"},
    ],
]

KINDS = {
    # Text is composed first; digits are single; nothing is at the beginning.
    "qwen2": {"rule": START + r"\p{N}" + END, "nfc": True, "begins": False},
    # A piece that is a token is not made of merges; every text has a beginning.
    "llama-bpe": {"rule": START + r"\p{N}{1,3}" + END, "nfc": False, "begins": True},
}
SPECIAL = ["<|begin|>", "<|turn|>", "<|end|>"]
ADDED = ["<think>", "</think>"]
# Tokens that no merges lead to.
WHOLE = ["Ġstrawberry", "straw"]


def build(kind):
    pieces = pre_tokenizers.Split(Regex(kind["rule"]), "isolated")
    for text in CORPUS + TEXTS:
        cut = [piece for piece, _ in pieces.pre_tokenize_str(text)]
        assert cut == [m.group() for m in regex.finditer(kind["rule"], text)], text
    tokenizer = Tokenizer(BPE(ignore_merges=kind["begins"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pieces, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    if kind["nfc"]:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=480,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)

    # Again, with the tokens that no merges lead to, and the special ones behind all others.
    model = json.loads(tokenizer.to_str())["model"]
    vocab, merges = model["vocab"], [tuple(merge) for merge in model["merges"]]
    for token in WHOLE:
        assert token not in vocab
        vocab[token] = len(vocab)
    tokenizer.model = BPE(vocab=vocab, merges=merges, ignore_merges=kind["begins"])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED])
    if kind["begins"]:
        begin = (SPECIAL[0], tokenizer.token_to_id(SPECIAL[0]))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{SPECIAL[0]} $A", special_tokens=[begin]
        )
    return tokenizer, merges


def golden(kind):
    tokenizer, merges = build(kind)
    vocab = tokenizer.get_vocab()
    chat = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[0],
        chat_template=CHAT if kind["begins"] else CHAT.replace("{{- bos_token }}\n", ""),
    )
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if kind["nfc"]:
            composed = unicodedata.normalize("NFC", text)
            assert ids == tokenizer.encode(composed, add_special_tokens=False).ids
        cases.append(
            {
                "text": text,
                "ids": ids,
                "whole": tokenizer.encode(text).ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=True),
            }
        )
    prompts = []
    for messages in MESSAGES:
        told = {"add_generation_prompt": True, "return_dict": False}
        prompts.append(
            {
                "messages": messages,
                "text": chat.apply_chat_template(messages, tokenize=False, **told),
                "ids": chat.apply_chat_template(messages, **told),
            }
        )
    return {
        "tokens": sorted(vocab, key=vocab.get),
        "merges": [" ".join(merge) for merge in merges],
        "special": [vocab[token] for token in SPECIAL],
        "added": [vocab[token] for token in ADDED],
        "begin": vocab[SPECIAL[0]],
        "chat_template": chat.chat_template,
        "cases": cases,
        "prompts": prompts,
    }


if __name__ == "__main__":
    kinds = {name: golden(kind) for name, kind in KINDS.items()}
    text = json.dumps(kinds, ensure_ascii=False, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text + "\n")
