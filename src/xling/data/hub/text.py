"""Monolingual text from articles or pages, without test sentences."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xling.data.hub.dataset import DataSet, paragraphs
from xling.data.hub.spec import TextSource
from xling.data.hub.units import Facts, Unit
from xling.data.layout import TASKS, DataFolder
from xling.data.lines import read_lines
from xling.data.overlap import Sentences, Watch, line_keys
from xling.errors import XlingError
from xling.files import atomic_file, plain_or_gzipped
from xling.progress import bar

_BATCH = 2_000
_HELD_OUT_BATCH = 10_000
_log = logging.getLogger(__name__)


def text_unit(
    data: DataFolder,
    domain: str,
    language: str,
    source: TextSource,
    dataset: DataSet,
    enough: int | None,
) -> Unit:
    """Describe the text of a domain in a language.

    Args:
        data: The folder as filled so far; its test sentences are left out of the text.
        domain: The domain.
        language: The language.
        source: What to read.
        dataset: Where to read it.
        enough: Number of characters at which the text ends; the line that reaches it is kept
            whole. None takes all text.
    """
    config = str(source.config_of(language))
    place = f"text/{domain}/{language}.txt"
    total = min((size for size in (source.characters, enough) if size), default=None)

    def write(root: Path) -> Facts:
        facts: Facts = Facts()
        watch = held_out_sentences(data, language).watch(language)
        articles = dataset.rows(config, source.split, [source.column])
        lines = _lines(articles, source.column, facts)
        with (
            atomic_file(root / place) as file,
            bar(f"Fetching {place}", source.lines or total, _unit(source, total)) as step,
        ):
            for line in _within(_new(lines, watch, facts), source, enough, facts):
                file.write(line + "\n")
                step(1 if source.lines or not total else len(line))
        for match in watch.matches():
            where = match.path.relative_to(data.root)
            _log.info("%s: left out %s that are also in %s", place, match.counted(), where)
        if not facts["lines"]:
            raise XlingError(
                f"{source.data}: nothing but empty text in column {source.column} of {config}"
            )
        return facts

    return Unit(
        name=f"text/{domain}/{language}",
        part=f"text/{domain}",
        files=(place,),
        about={"source": source.data, "revision": dataset.revision, "licence": source.licence},
        config={
            "files": dataset.identity([config], [source.split]),
            "config": config,
            "split": source.split,
            "column": source.column,
            "lines": source.lines,
            "characters": source.characters,
            "enough": enough,
        },
        write=write,
        inputs=held_out_files(data, language),
    )


def _unit(source: TextSource, characters: int | None) -> str:
    return "characters" if characters and not source.lines else "lines"


def _lines(articles: Iterator[dict[str, str]], column: str, facts: Facts) -> Iterator[str]:
    for article in articles:
        facts["rows"] += 1
        yield from paragraphs(article[column] or "")


def _new(lines: Iterator[str], watch: Watch, facts: Facts) -> Iterator[str]:
    """Yield the lines that are not test sentences."""
    first = 1
    while batch := list(islice(lines, _BATCH)):
        keys = line_keys(batch)
        watch.look(keys, first, batch)
        for line, known in zip(batch, watch.known(keys).tolist(), strict=True):
            if not known:
                yield line
            facts["held out"] += known
        first += len(batch)


def _within(
    lines: Iterator[str], source: TextSource, enough: int | None, facts: Facts
) -> Iterator[str]:
    """Yield lines until there are enough, and at most as many as the source allows."""
    for line in lines:
        if source.lines is not None and facts["lines"] >= source.lines:
            return
        if source.characters is not None and facts["characters"] + len(line) > source.characters:
            return
        if enough is not None and facts["characters"] >= enough:
            return
        facts["lines"] += 1
        facts["characters"] += len(line)
        yield line


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
    """Read the sentences of `held_out_files`, of which ``xling data check`` would warn."""
    sentences = Sentences()
    for name, path in held_out_files(data, language).items():
        lines = _sentences(name.partition("/")[0], path)
        while batch := list(islice(lines, _HELD_OUT_BATCH)):
            sentences.add(language, path, batch)
    return sentences


def _sentences(part: str, path: Path) -> Iterator[str]:
    if part == "parallel":
        yield from read_lines(path)
        return
    for record in TASKS[part].read(path):
        yield from TASKS[part].sentences(record)
