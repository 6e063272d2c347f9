"""From raw text to tokens: preparing with and without the costly steps, memory, and a peer.

Run: ``python benchmarks/data.py [--like DATA --language en]``; needs five times the text on disk.

The text is that of ``benchmarks/tokens.py``: words of a data folder with their frequencies there,
in lines of 25 words. The peer of tokenising is ``datasets.map`` in batches, with the same tokenizer
and as many processes. Goals: 10 MB/s per core without identification of languages and
near-duplicates, 1 MB/s with them; twice the peer's speed; under 1.5 GB of memory.
"""

import argparse
import tempfile
import time
from pathlib import Path

import datasets
from figures import Figure, add_options, show

from tokens import PeakMemory, write_text
from xling.conlang.generate import generate
from xling.conlang.spec import ConlangSpec
from xling.data.layout import DataFolder
from xling.data.preparing.prepare import prepare
from xling.data.preparing.settings import NOTHING, PrepareSettings
from xling.study.shipped import find_study
from xling.tokens.build import TokensConfig, build_tokens
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

NAME = "en"  # the text is named so, for the identification to look for something it knows
PREPARATIONS = {
    "exact duplicates, evaluation sentences": (
        {"decontaminate": True, "duplicates": {"near": False}},
        10.0,
    ),
    "the same and sentences, near-duplicates": (
        {"decontaminate": True, "duplicates": True, "sentences": True},
        None,
    ),
    "the same and filters, languages": (
        {
            **{"decontaminate": True, "duplicates": True, "sentences": True},
            **{"filters": True, "identify": {"confidence": 1.0}},
        },
        1.0,
    ),
    "Moses": ({"moses": True}, None),
}


def main() -> None:
    """Measure in a folder that is deleted afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--like", type=Path, help="data folder to draw words from")
    parser.add_argument("--language", default="aa", help="one of that folder's (default: aa)")
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.megabytes, arguments.size = 0.5, 500
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        show("data", measure(arguments, Path(scratch)), arguments)


def measure(arguments: argparse.Namespace, scratch: Path) -> list[Figure]:
    """Prepare the text in several ways, then tokenise it in two."""
    if arguments.like is None:
        generate(ConlangSpec.load(find_study(Path("worlds/presets"))), scratch / "like")
    like = DataFolder(arguments.like or scratch / "like")
    write_text(like, arguments.language, scratch / "made", int(arguments.megabytes * 1e6))
    written = scratch / "made/text/made" / f"{arguments.language}.txt"
    written.rename(written.with_name(f"{NAME}.txt"))
    evaluation = scratch / "made/parallel/held-out" / f"{NAME}.txt"
    evaluation.parent.mkdir(parents=True)
    first = like.text(like.domains(arguments.language)[0], arguments.language)
    evaluation.write_bytes(first.read_bytes()[:200_000])
    data = DataFolder(scratch / "made")
    size = data.text("made", NAME).stat().st_size / 1e6
    figures = [
        _preparation(name, steps, goal, data, size, arguments, scratch)
        for name, (steps, goal) in PREPARATIONS.items()
    ]
    return [*figures, *_tokens(data, size, arguments, scratch)]


def _preparation(
    name: str,
    steps: dict[str, object],
    goal: float | None,
    data: DataFolder,
    size: float,
    arguments: argparse.Namespace,
    scratch: Path,
) -> Figure:
    settings = PrepareSettings.model_validate({**NOTHING.model_dump(), **steps})
    start = time.perf_counter()
    prepare([data], settings, scratch / "prepared", arguments.workers)
    speed = size / (time.perf_counter() - start) / arguments.workers
    peer = ("the goal", goal, 1.0) if goal else ("", None, None)
    return Figure(f"prepare: {name}", speed, "MB/s a core", *peer)


def _tokens(
    data: DataFolder, size: float, arguments: argparse.Namespace, scratch: Path
) -> list[Figure]:
    """Measure raw text to tokens with the default preparation, and tokenising against the peer."""
    text, workers = {NAME: ["made"]}, arguments.workers
    with PeakMemory() as memory:
        prepare([data], PrepareSettings(), scratch / "ready", workers)
        ready = DataFolder(scratch / "ready")
        build_vocabulary(ready, text, VocabularyConfig(size=arguments.size), scratch / "vocabulary")
        vocabulary = Vocabulary.load(scratch / "vocabulary")
        start = time.perf_counter()
        build_tokens(ready, text, vocabulary, scratch / "tokens", TokensConfig(), workers)
        own = size / (time.perf_counter() - start)
    start = time.perf_counter()
    _with_datasets(ready.text("made", NAME), vocabulary, workers, scratch)
    theirs = size / (time.perf_counter() - start)
    return [
        Figure("tokenise", own, "MB/s", "datasets.map", theirs, least=2.0),
        Figure("peak memory, raw text to tokens", memory.peak / 1e9, "GB", "goal", 1.5, most=1.0),
    ]


def _with_datasets(path: Path, vocabulary: Vocabulary, workers: int, scratch: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(vocabulary.folder(NAME))
    lines = datasets.load_dataset("text", data_files=str(path), split="train", cache_dir=scratch)
    lines.map(
        lambda batch: {"input_ids": tokenizer(batch["text"], add_special_tokens=False).input_ids},
        batched=True,
        remove_columns=["text"],
        num_proc=workers if workers > 1 else None,
    )


if __name__ == "__main__":
    main()
