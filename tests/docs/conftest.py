"""The blocks of a page, and the files that the pages take for granted, as small as can be."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from xling.randomness import generator

ROOT = Path(__file__).resolve().parents[2]
ENDINGS = {"en": "ing", "sw": "eka"}
STEMS = [a + b + c for a in "bdgkl" for b in "aeo" for c in "mnrs"]


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def word(number: int, language: str) -> str:
    """A third of the words are the same in both languages."""
    return STEMS[number] + (ENDINGS[language] if number % 3 else "")


def write_lines(path: Path, language: str, count: int, draw: int) -> None:
    """Write sentences of eight words; equal draws say the same in every language."""
    rows = generator(1, "sentences", draw).integers(len(STEMS), size=(count, 8))
    lines = [" ".join(word(i, language) for i in row) + " .\n" for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def write_tasks(data: Path, language: str, split: str, draw: int) -> None:
    """Write entities (a word with b is a person) and flat trees."""
    rows = generator(1, "tasks", draw).integers(len(STEMS), size=(12, 4))
    sentences = [[word(i, language) for i in row] for row in rows]
    entities = [
        "".join(f"{w}\t{'B-PER' if w.startswith('b') else 'O'}\n" for w in words)
        for words in sentences
    ]
    trees = [
        "".join(
            f"{n}\t{w}\t_\tX\t_\t_\t{n - 1}\t{'dep' if n > 1 else 'root'}\t_\t_\n"
            for n, w in enumerate(words, 1)
        )
        for words in sentences
    ]
    for name, items in (
        (f"ner/{language}/{split}.iob2", entities),
        (f"ud/{language}/{split}.conllu", trees),
    ):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(items) + "\n", encoding="utf-8")


def write_data(data: Path) -> None:
    """Write all that the pages read from ``mydata``, in English and Swahili, so to speak."""
    for draw, language in enumerate(ENDINGS, 1):
        for domain, shift in (("wiki", 0), ("web", 10)):
            write_lines(data / "text" / domain / f"{language}.txt", language, 300, draw + shift)
        for name, count, same in (("talks", 80, 100), ("news", 30, 101)):
            write_lines(data / "parallel" / name / f"{language}.txt", language, count, same)
        for n, split in enumerate(("train", "dev", "test")):
            write_tasks(data, language, split, 10 * draw + n)
    (data / "dictionaries").mkdir()
    for split, numbers in (("train", range(0, 60, 2)), ("test", range(1, 60, 2))):
        rows = [f"{word(i, 'en')}\t{word(i, 'sw')}\n" for i in numbers]
        (data / "dictionaries" / f"en-sw.{split}.tsv").write_text("".join(rows), encoding="utf-8")


@pytest.fixture(scope="session")
def blocks() -> Callable[[str], list[Block]]:
    """Return :func:`blocks_of`."""
    return blocks_of


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, but for ``mydata``."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mydata")
    return tmp_path
