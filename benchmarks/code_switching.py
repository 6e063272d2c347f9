"""Batches and training with code-switching and without, alternating in one run.

Run: ``python benchmarks/code_switching.py [--shape demo|small|both] [--threads N] [--rounds N]``;
needs no data (words of one to four tokens are drawn from a Zipf distribution) and no network.

Both sides have the same text, shape and optimizer. The dictionary has four of five running words,
so that the greatest share of replaced words (15 %) is always reached. Segments alternate, so that
a machine shared with other work slows both alike, and medians are shown. Batches alone are made
in this thread; in training, as always, they are made one ahead beside the model. A large model
hides the making of batches, so the shapes are the smallest that are used.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from figures import Figure, add_options, show

from xling.files import content_hash
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.pretraining.batches import BatchMaker, LanguageText
from xling.pretraining.config import CodeSwitching, OptimizerConfig, PretrainingConfig
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.switching import Switcher
from xling.tokens.index import Shard, Stream, TokenIndex
from xling.tokens.stream import TokenStream
from xling.vocabulary.bpe import SEP, SPECIAL_TOKENS
from xling.vocabulary.code_switching import Runs, Switches
from xling.vocabulary.vocabulary import SpecialIds

LANGUAGE = "xx"
WORDS, VOCABULARY, LINE = 20_000, 8_000, 12
TARGET = 0.8
CPU = World(0, 1, torch.device("cpu"))
SHAPES = {
    "demo": (ModelShape(layers=4, heads=4, hidden=64, feed_forward=256, max_length=16), 256, 12),
    "small": (ModelShape(layers=4, heads=4, hidden=128, feed_forward=512, max_length=128), 32, 3),
}

TINY = (ModelShape(layers=1, heads=2, hidden=16, feed_forward=32, max_length=16), 16, 2)


def main() -> None:
    """Measure, and print one table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=4, help="segments of each side")
    add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shapes = list(SHAPES) if arguments.shape == "both" else [arguments.shape]
    if arguments.small:
        shapes, arguments.rounds = ["tiny"], 1
    figures = [
        Figure(
            f"{what}, {shape}",
            switched,
            "tokens/s",
            "without switching",
            plain,
            least=TARGET if what == "training" else None,
        )
        for shape in shapes
        for what, (plain, switched) in measure(shape, arguments.rounds).items()
    ]
    show("code-switching", figures, arguments)


def measure(shape: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Return for batches and training the median tokens/s without and with switching."""
    model, rows, steps = TINY if shape == "tiny" else SHAPES[shape]
    tokens = rows * model.max_length
    with tempfile.TemporaryDirectory() as folder:
        stream, switches, starts = make_text(Path(folder), 2 * tokens * steps * rounds)
        switcher = Switcher(switches, starts, SEP, CodeSwitching())
        sides = [Side(stream, chosen, model, rows, rounds * steps) for chosen in (None, switcher)]
        seconds: dict[str, list[list[float]]] = {"batches": [[], []], "training": [[], []]}
        for number in range(rounds):
            for side, runner in enumerate(sides):
                first, last = number * steps, (number + 1) * steps
                segments: dict[str, Callable[[int, int], None]] = {
                    "batches": runner.make,
                    "training": runner.train,
                }
                for what, run in segments.items():
                    start = time.perf_counter()
                    run(first, last)
                    seconds[what][side].append((time.perf_counter() - start) / steps)
    return {
        what: (tokens / statistics.median(plain), tokens / statistics.median(switched))
        for what, (plain, switched) in seconds.items()
    }


class Side:
    """One model in training, with or without code-switching."""

    def __init__(
        self,
        stream: TokenStream,
        switcher: Switcher | None,
        model: ModelShape,
        rows: int,
        steps: int,
    ) -> None:
        optimizer = OptimizerConfig(name="adamw", schedule="linear", warmup_steps=0)
        self.config = PretrainingConfig(
            steps=steps, rows=rows, length=model.max_length, optimizer=optimizer
        )
        ordinary = np.arange(len(SPECIAL_TOKENS), VOCABULARY)
        text = LanguageText(stream, ordinary, switcher)
        self.maker = BatchMaker({LANGUAGE: text}, self.config, SpecialIds())
        shape = model.model_copy(update={"dropout": 0.0})
        self.family = Family.build(shape, {LANGUAGE: VOCABULARY}, SharingPlan(), seed=1).train()
        self.optimizer = FamilyOptimizer(self.family, optimizer, steps)

    def make(self, first: int, last: int) -> None:
        """Only make batches."""
        for step in range(first, last):
            self.maker.batch(step)

    def train(self, first: int, last: int) -> None:
        """Train, as the training loop does."""
        for step, batch in enumerate(self.maker.batches(first, last), start=first):
            forward_backward(self.family, batch, self.config, CPU, step)
            self.optimizer.step(step)


def make_text(folder: Path, count: int) -> tuple[TokenStream, Switches, np.ndarray]:
    """Write Zipf-distributed words as a stream; four of five have one to three translations."""
    random = np.random.default_rng(0)
    starts = np.zeros(VOCABULARY, dtype=bool)
    starts[len(SPECIAL_TOKENS) : VOCABULARY // 2] = True
    heads, tails = np.flatnonzero(starts), np.arange(VOCABULARY // 2, VOCABULARY)

    def word() -> list[int]:
        return [int(random.choice(heads)), *random.choice(tails, random.integers(0, 4)).tolist()]

    words = [word() for _ in range(WORDS)]
    weights = 1 / np.arange(1, WORDS + 1)
    drawn = random.choice(WORDS, count, p=weights / weights.sum())
    pieces = [[*words[k], SEP] if n % LINE == LINE - 1 else words[k] for n, k in enumerate(drawn)]
    ids = np.fromiter((token for piece in pieces for token in piece), dtype="<u2")[:count]
    known = np.flatnonzero(np.arange(WORDS) % 5 > 0)
    number = random.integers(1, 4, len(known))
    bounds = np.concatenate([[0], np.cumsum(number)])
    shares = np.concatenate([e + np.arange(1, n + 1) / n for e, n in enumerate(number)])
    switches = Switches(
        words=Runs.of([words[k] for k in known]),
        entry=np.arange(len(known)),
        bounds=bounds,
        cumulative=shares,
        translations=Runs.of([word() for _ in range(bounds[-1])]),
    )
    return write_stream(folder, ids), switches, starts


def write_stream(folder: Path, ids: np.ndarray) -> TokenStream:
    """Write ids as a training stream and open it."""
    path = folder / "train.bin"
    ids.tofile(path)
    stream = Stream(
        language=LANGUAGE,
        part="made",
        split="train",
        lines=len(ids) // LINE,
        characters=len(ids),
        words=len(ids),
        tokens=len(ids),
        unknowns=0,
        shards=(Shard(file=path.name, tokens=len(ids), blake2b=content_hash(path)),),
    )
    TokenIndex(vocabulary_size=VOCABULARY, dtype="<u2", streams=(stream,)).save(folder)
    return TokenStream.open(folder, LANGUAGE, "train")


if __name__ == "__main__":
    main()
