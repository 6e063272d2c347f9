"""The sentences that models are later measured on, to be left out of their training text."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xling.data.layout import DataFolder
from xling.data.lines import read_lines
from xling.data.overlap import Sentences
from xling.data.task_records import TASKS
from xling.files import plain_or_gzipped

_BATCH = 10_000


def held_out_files(data: DataFolder, language: str) -> dict[str, Path]:
    """Return a language's parallel lines, dev and test files, by their place in the folder."""
    names = [f"parallel/{name}/{language}.txt" for name in data.parallel_sets(language)]
    found = {name: plain_or_gzipped(data.root / name) for name in names}
    for part in TASKS:
        for split in data.splits(part, language):
            if split != "train":
                path = data.task(part, language, split)
                found[str(path.relative_to(data.root))] = path
    return {name: path for name, path in found.items() if path}


def held_out_sentences(data: DataFolder, language: str) -> Sentences:
    """Read the sentences of `held_out_files`; what ``xling data check`` would warn of."""
    sentences = Sentences()
    for name, path in held_out_files(data, language).items():
        lines = _sentences(name.partition("/")[0], path)
        while batch := list(islice(lines, _BATCH)):
            sentences.add(language, path, batch)
    return sentences


def _sentences(part: str, path: Path) -> Iterator[str]:
    if part == "parallel":
        yield from read_lines(path)
        return
    for record in TASKS[part].read(path):
        yield from TASKS[part].sentences(record)
