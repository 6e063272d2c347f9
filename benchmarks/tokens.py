"""Tokenise a synthetic gigabyte: seconds, speed and peak memory of all processes together.

Run: ``python benchmarks/tokens.py [--like DATA --language en]``; needs two gigabytes of disk.

The text is made of the words of a data folder, drawn with their frequencies there, plus a share of
words never seen before, as long natural text has. Without a folder it is a constructed language.
"""

import argparse
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from figures import Figure, add_options, show

from xling.conlang.generate import generate
from xling.conlang.spec import ConlangSpec
from xling.data.layout import DataFolder
from xling.data.selection import TextPart, read_part
from xling.study.shipped import find_study
from xling.tokens.build import TokensConfig, build_tokens
from xling.tokens.streams import TokenStream
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

NEW_WORDS = 0.02
BLOCK_WORDS = 1_000_000
WORDS_A_LINE = 25
WINDOW = 128
BATCH = 64


def main() -> None:
    """Measure in a folder that is deleted afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--like", type=Path, help="data folder to draw words from")
    parser.add_argument("--language", default="aa", help="one of that folder's (default: aa)")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.gigabytes, arguments.size = 0.002, 500
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        show("tokens", measure(arguments, Path(scratch)), arguments)


def measure(arguments: argparse.Namespace, scratch: Path) -> list[Figure]:
    """Write the text, learn a vocabulary from it, and tokenise it."""
    language = arguments.language
    if arguments.like is None:
        generate(ConlangSpec.load(find_study(Path("worlds/presets"))), scratch / "like")
    real = DataFolder(arguments.like or scratch / "like")
    write_text(real, language, scratch / "data", int(arguments.gigabytes * 1e9))
    data, text = DataFolder(scratch / "data"), {language: ["made"]}
    start = time.perf_counter()
    build_vocabulary(data, text, VocabularyConfig(size=arguments.size), scratch / "vocabulary")
    learnt = time.perf_counter() - start
    vocabulary = Vocabulary.load(scratch / "vocabulary")
    size = data.text("made", language).stat().st_size
    arranged = (data, text, vocabulary, scratch / "tokens", TokensConfig(), arguments.workers)
    tokenise = partial(build_tokens, *arranged)
    with PeakMemory() as memory:
        start = time.perf_counter()
        tokenise()
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    tokenise()
    again = time.perf_counter() - start
    stream = TokenStream.open(scratch / "tokens", language, "train")
    work = f"tokenise {size / 1e6:,.0f} MB, {arguments.workers} workers"
    return [
        Figure(f"learn {vocabulary.size:,} subwords", learnt, "s"),
        Figure(work, size / 1e6 / seconds, "MB/s"),
        Figure("peak memory of all processes", memory.peak / 1e9, "GB"),
        Figure("the same once more, finished before", again, "s", "at first", seconds, most=0.2),
        Figure("random windows", window_speed(stream) / 1e6, "million tokens/s"),
    ]


def write_text(real: DataFolder, language: str, root: Path, size: int) -> None:
    """Write about ``size`` bytes of lines made of the words of ``real``."""
    words = [
        word
        for domain in real.domains(language)
        for lines in read_part(real.text(domain, language), TextPart(domain=domain))
        for line in lines
        for word in line.split()
    ]
    path = root / "text" / "made" / f"{language}.txt"
    path.parent.mkdir(parents=True)
    random = np.random.default_rng(0)
    written = 0
    with open(path, "w", encoding="utf-8") as file:
        while written < size:
            drawn = [words[index] for index in random.integers(0, len(words), BLOCK_WORDS)]
            # A word nobody has seen: two halves of known ones.
            for place in np.flatnonzero(random.random(BLOCK_WORDS) < NEW_WORDS):
                other = words[random.integers(len(words))]
                drawn[place] = drawn[place][: 1 + len(drawn[place]) // 2] + other[len(other) // 2 :]
            text = "".join(
                " ".join(drawn[start : start + WORDS_A_LINE]) + "\n"
                for start in range(0, BLOCK_WORDS, WORDS_A_LINE)
            )
            written += len(text.encode())
            file.write(text)


def window_speed(stream: TokenStream) -> float:
    """Return the tokens a second of random batches."""
    random = np.random.default_rng(0)
    indices = random.integers(0, stream.windows(WINDOW), (1000, BATCH))
    start = time.perf_counter()
    for batch in indices:
        stream.rows(batch, WINDOW, offset=7)
    return indices.size * WINDOW / (time.perf_counter() - start)


class PeakMemory:
    """The greatest sum of resident memory of this process and its children, or of those alone."""

    def __init__(self, of_children: bool = False) -> None:
        self._of_children = of_children

    def __enter__(self) -> "PeakMemory":
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._done.wait(0.1):
            total = 0
            children = own.children(recursive=True)
            for process in children if self._of_children else [own, *children]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)


if __name__ == "__main__":
    main()
