"""Speed of the geometry, each figure as a ratio to the bare work measured in the same process.

Run: ``python benchmarks/geometry.py``; about ten minutes on two cores, nearly all of it
``csls``, and under 2 GB of memory. ``--words 20000`` and so on make parts smaller, ``--only csls``
runs one part.

- ``csls``: exact CSLS translation of 200k x 200k words of width 300, against the bare matrix
  products of its definition in float32 (r of both sides, then the translations: three products of
  all pairs, of one shape; one is made, half of it before and half after, and counted three times).
  The goal is lower on processors with matrix tiles for bfloat16 (AMX).
- ``cka``: all pairs of 9 x 9 layers of 10k items of width 768, against the bare products
  XᵀX, YᵀY and YᵀX; and how many times longer Gram matrices take, at a number of items they fit in
  memory with.
- ``encoding``: word averages and sentence vectors of text, against the same model's forward pass
  on full batches of as many tokens.
- ``aligner``: seconds for 10k sentence pairs of 20 words, both directions, symmetrised; and for as
  many lines of three pairs of constructed languages the alignment error rates beside their gold.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from figures import Figure, add_options, show

from xling.device import bf16_features
from xling.measures import cka_matrix, translate
from xling.measures.word_links import align_words

FULL = {
    "words": 200_000,
    "vector_width": 300,
    "items": 10_000,
    "layer_width": 768,
    "layers": 9,
    "lines": 4000,
    "pairs": 10_000,
}
SMALL = {
    "words": 4000,
    "vector_width": 64,
    "items": 500,
    "layer_width": 64,
    "layers": 3,
    "lines": 200,
    "pairs": 500,
}


TILE_ROWS, TILE_COLUMNS = 1024, 8192


def main() -> None:
    """Measure, say on standard error what is being done, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    names = ("csls", "cka", "encoding", "aligner")
    parser.add_argument("--only", choices=names, action="append", help="may be given again")
    for name, size in FULL.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, help=f"{size} if not given")
    arguments = parser.parse_args()
    size = {
        name: getattr(arguments, name) or full
        for name, full in (SMALL if arguments.small else FULL).items()
    }
    parts: dict[str, Callable[[], list[Figure]]] = {
        "csls": lambda: csls(size["words"], size["vector_width"]),
        "cka": lambda: cka(size["items"], size["layer_width"], size["layers"]),
        "encoding": lambda: encoding(size["lines"]),
        "aligner": lambda: aligner(size["pairs"]),
    }
    figures = []
    for name in arguments.only or names:
        say(f"{name} ...")
        figures += parts[name]()
    show("geometry", figures, arguments)


def say(text: str) -> None:
    """Print progress with the time since the start of the process's work."""
    print(f"[{time.perf_counter() - _START:6.0f} s] {text}", file=sys.stderr, flush=True)


_START = time.perf_counter()


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def csls(words: int, width: int) -> list[Figure]:
    """Translate one vocabulary into another; peak memory is that of the whole process so far."""
    random = np.random.default_rng(0)
    X, Y = random.standard_normal((2, words, width), dtype=np.float32)
    tile = np.empty((TILE_ROWS, TILE_COLUMNS), dtype=np.float32)

    def bare(first: int, last: int) -> None:
        for i in range(first, last, TILE_ROWS):
            rows = X[i : min(i + TILE_ROWS, last)]
            for j in range(0, words, TILE_COLUMNS):
                columns = Y[j : j + TILE_COLUMNS].T
                np.matmul(rows, columns, out=tile[: len(rows), : columns.shape[1]])

    half = words // 2
    products = 3 * seconds(lambda: bare(0, half))
    say(f"csls: half of the bare products would take {products:.0f} s; now the translation")
    whole = seconds(lambda: translate(X, Y, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say(f"csls: translated in {whole:.0f} s; now the other half of the bare product")
    products += 3 * seconds(lambda: bare(half, words))
    goal = 0.6 if "AMX" in bf16_features(torch.device("cpu")) else 1.3
    return [
        Figure(f"CSLS, {words:,} x {words:,}", whole, "s", "bare products", products, most=goal),
        Figure("CSLS, peak memory", peak, "GB", "limit", 2.0, most=1.0),
    ]


def cka(items: int, width: int, layers: int) -> list[Figure]:
    """Compare all layers with all layers."""
    random = np.random.default_rng(0)
    Xs, Ys = random.standard_normal((2, layers, items, width), dtype=np.float32)
    whole = seconds(lambda: cka_matrix(Xs, Ys))

    def bare() -> None:
        for side in (Xs, Ys):
            for X in side:
                X.T @ X
        for X in Xs:
            for Y in Ys:
                Y.T @ X

    products = seconds(bare)
    few = min(items, 4000)
    features = seconds(lambda: cka_matrix(Xs[:2, :few], Ys[:2, :few]))
    grams = seconds(lambda: by_grams(Xs[:2, :few], Ys[:2, :few]))
    return [
        Figure(f"CKA, {layers} x {layers} layers", whole, "s", "bare products", products, most=1.5),
        Figure(f"CKA, {few:,} items", features, "s", "Gram matrices", grams),
    ]


def by_grams(Xs: np.ndarray, Ys: np.ndarray) -> np.ndarray:
    """CKA from centred Gram matrices [items, items] of every layer."""
    grams = []
    for X in (*Xs, *Ys):
        centred = X - X.mean(axis=0)
        K = centred @ centred.T
        grams.append(K / np.linalg.norm(K))
    return np.array([[(K * L).sum() for L in grams[len(Xs) :]] for K in grams[: len(Xs)]])


def encoding(lines: int) -> list[Figure]:
    """Word averages and sentence vectors, in words a second beside the bare forward pass."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from xling.encoders.encoder import Encoder
    from xling.encoders.representations import sentence_vectors
    from xling.encoders.word_vectors import frequent_words, word_type_means

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {name: i for i, name in enumerate([*special, *(f"w{i}" for i in range(8000))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=256,
        num_hidden_layers=8,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
    )
    encoder = Encoder("xx", BertModel(config).eval(), fast)
    random = np.random.default_rng(0)
    text = [
        [f"w{n % 8000}" for n in random.zipf(1.2, size=random.integers(5, 40))]
        for _ in range(lines)
    ]
    joined = [" ".join(words) for words in text]
    tokens = sum(map(len, text)) + 2 * lines
    ids = torch.randint(5, len(vocabulary), (2048 // 24, 24))
    mask = torch.ones_like(ids)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(-(-tokens // ids.numel())):
                encoder.body(input_ids=ids, attention_mask=mask, output_hidden_states=True)

    words = frequent_words(text, 5000)
    bare()
    forward = seconds(bare)
    sentences = seconds(lambda: sentence_vectors(encoder, joined))
    averages = seconds(lambda: word_type_means(encoder, text, words))
    return [
        Figure(f"sentence vectors, {tokens:,} tokens", sentences, "s", "forward passes", forward),
        Figure(f"word averages, {tokens:,} tokens", averages, "s", "forward passes", forward),
    ]


def aligner(pairs: int) -> list[Figure]:
    """Align pairs of 20 words over 5000 Zipfian types, locally reordered."""
    random = np.random.default_rng(0)
    source, target = [], []
    for _ in range(pairs):
        numbers = random.zipf(1.2, size=20) % 5000
        order = np.argsort(np.arange(20) + random.uniform(0, 3, 20))
        source.append([f"e{n}" for n in numbers])
        target.append([f"f{n}" for n in numbers[order]])
    whole = seconds(lambda: align_words(source, target))
    found = [Figure(f"word alignment, {pairs:,} pairs", whole, "s")]
    for preset in ("near", "mid", "far"):
        say(f"aligner: aa-{preset}")
        found += constructed(preset, pairs)
    return found


def constructed(preset: str, pairs: int) -> list[Figure]:
    """Align constructed languages, whose gold is exact."""
    from xling.conlang.generate import DataGenerator, Job
    from xling.conlang.spec import ConlangSpec
    from xling.measures import WordAligner, alignment_error_rate, symmetrize

    spec = {"languages": {"xx": preset}, "parallel": {"heldout": pairs, "paraphrase": 0}}
    files = DataGenerator(ConlangSpec.model_validate(spec)).do(
        Job("parallel", "heldout", count=pairs)
    )
    folder = "parallel/heldout"
    written = files.get(f"{folder}/xx.words", files[f"{folder}/xx.txt"])
    source, target = (
        [line.split() for line in text.splitlines()]
        for text in (files[f"{folder}/aa.txt"], written)
    )
    gold = [
        [tuple(map(int, link.split("-"))) for link in line.split()]
        for line in files[f"{folder}/aa-xx.align"].splitlines()
    ]
    start = time.perf_counter()
    both = WordAligner().align_both(source, target)
    found = [Figure(f"word alignment, {preset}", time.perf_counter() - start, "s")]
    for method in ("intersection", "grow-diag-final-and"):
        links = symmetrize(*both, method)
        error = alignment_error_rate(links, gold)
        found.append(Figure(f"word alignment, {preset}, {method}", error, "error rate"))
    return found


if __name__ == "__main__":
    main()
