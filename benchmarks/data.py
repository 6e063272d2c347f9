"""From raw text to tokens: preparing with and without the costly steps, memory, and a peer.

Run: ``python benchmarks/data.py [--like DATA --language en]``; needs five times the text on disk.

The text is that of ``benchmarks/tokens.py``: words of a data folder with their frequencies there,
in lines of 25 words. Speeds of preparing are by the processor's time of all processes, and memory
is that of all processes of a command. The peer of tokenising is ``datasets.map`` in batches, with
the same tokenizer and as many processes. Goals: 10 MB/s per core without identification of
languages and near-duplicates, 1 MB/s with them; twice the peer's speed; 1 GB of text from raw to
tokens in under 1.5 GB of memory.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import datasets
from figures import Figure, add_options, show

from tokens import PeakMemory, write_text
from xling.conlang.generate import generate
from xling.conlang.spec import ConlangSpec
from xling.data.layout import DataFolder
from xling.data.lines import read_lines
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
            **{"filters": True, "identify": True},
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
    parser.add_argument("--megabytes", type=float, default=200, help="for speeds (default: 200)")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="for memory (default: 1)")
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.megabytes, arguments.gigabytes, arguments.size = 0.5, 0.001, 500
    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # no request to the hub while it is timed
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        show("data", measure(arguments, Path(scratch)), arguments)


def measure(arguments: argparse.Namespace, scratch: Path) -> list[Figure]:
    """Prepare text in several ways, tokenise it in two, and take more of it from raw to tokens."""
    if arguments.like is None:
        generate(ConlangSpec.load(find_study(Path("worlds/presets"))), scratch / "like")
    like = DataFolder(arguments.like or scratch / "like")
    data = _write(like, arguments.language, scratch / "made", arguments.megabytes * 1e6)
    size = data.text("made", NAME).stat().st_size / 1e6
    figures = [
        _preparation(name, steps, goal, data, size, arguments, scratch)
        for name, (steps, goal) in PREPARATIONS.items()
    ]
    figures += _tokens(data, size, arguments, scratch)
    raw = _write(like, arguments.language, scratch / "raw", arguments.gigabytes * 1e9)
    return [*figures, *_from_raw(raw, arguments, scratch)]


def _write(like: DataFolder, language: str, root: Path, size: float) -> DataFolder:
    """Write text, and evaluation sentences that may occur in it."""
    write_text(like, language, root, int(size))
    written = root / "text/made" / f"{language}.txt"
    written.rename(written.with_name(f"{NAME}.txt"))
    evaluation = root / "parallel/held-out" / f"{NAME}.txt"
    evaluation.parent.mkdir(parents=True)
    first = like.text(like.domains(language)[0], language)
    evaluation.write_text("".join(f"{line}\n" for line in islice(read_lines(first), 2000)))
    return DataFolder(root)


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
    start = _processor_time()
    prepare([data], settings, scratch / "prepared", arguments.workers)
    speed = size / (_processor_time() - start)
    peer = ("the goal", goal, 1.0) if goal else ("", None, None)
    return Figure(f"prepare: {name}", speed, "MB/s a core", *peer)


def _processor_time() -> float:
    """Return the seconds that processors have worked for this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _tokens(
    data: DataFolder, size: float, arguments: argparse.Namespace, scratch: Path
) -> list[Figure]:
    """Measure tokenising against the peer."""
    text, workers = {NAME: ["made"]}, arguments.workers
    build_vocabulary(data, text, VocabularyConfig(size=arguments.size), scratch / "vocabulary")
    vocabulary = Vocabulary.load(scratch / "vocabulary")
    start = time.perf_counter()
    build_tokens(data, text, vocabulary, scratch / "tokens", TokensConfig(), workers)
    own = size / (time.perf_counter() - start)
    start = time.perf_counter()
    _with_datasets(data.text("made", NAME), vocabulary, workers, scratch)
    theirs = size / (time.perf_counter() - start)
    return [Figure("tokenise", own, "MB/s", "datasets.map", theirs, least=2.0)]


def _from_raw(raw: DataFolder, arguments: argparse.Namespace, scratch: Path) -> list[Figure]:
    """Measure the memory of every command from a raw file to tokens."""
    config = scratch / "prepare.yaml"
    config.write_text("decontaminate: true\nduplicates: {near: false}\n")
    size = raw.text("made", NAME).stat().st_size
    data, ready, vocabulary = (scratch / name for name in ("imported", "clean", "subwords"))
    shutil.copytree(raw.root / "parallel", data / "parallel")
    workers = ["--workers", arguments.workers]
    commands = {
        "import": [
            *("data", "import", raw.text("made", NAME), "--out", data),
            *("--as", "text/made", "--language", NAME),
        ],
        "prepare": ["data", "prepare", data, "--out", ready, "--config", config, *workers],
        "near-duplicates too": ["data", "prepare", data, "--out", scratch / "near", *workers],
        "vocabulary": ["vocabulary", ready, "--out", vocabulary, "--size", arguments.size],
        "tokens": [
            *("tokens", ready, "--vocabulary", vocabulary, "--out", scratch / "ids", *workers)
        ],
    }
    peaks = {name: _peak(command) / 1e9 for name, command in commands.items()}
    text = f"{size / 1e9:.3g} GB from raw to tokens"
    return [
        *(Figure(f"memory: {name}", peak, "GB") for name, peak in peaks.items()),
        Figure(f"memory: {text}", max(peaks.values()), "GB", "goal", 1.5, most=1.0),
    ]


def _peak(command: list[object]) -> int:
    with PeakMemory(of_children=True) as memory:
        subprocess.run([sys.executable, "-m", "xling", *map(str, command)], check=True)
    return memory.peak


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
