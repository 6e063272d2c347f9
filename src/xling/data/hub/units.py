"""The units of a data folder, including parallel lines; each is fetched once, whole or absent."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from xling.data.hub.dataset import DataSet, clean
from xling.data.hub.spec import DictionarySource, PairsSource, ParallelSource
from xling.data.lines import Problem, fail, read_lines, shown
from xling.errors import XlingError
from xling.files import atomic_file, refuse_irregular
from xling.progress import track

# What became of a data set's rows: read, lines written, unusable, held out, characters.
Facts = Counter[str]


@dataclass(frozen=True)
class Unit:
    """Files that are written together, from one source.

    Attributes:
        name: Its name, unique in the folder, e.g. ``text/wiki/en``.
        part: The part under which data.yaml lists it, e.g. ``text/wiki``.
        files: Places in the data folder.
        about: For data.yaml: source, revision, licence.
        config: Everything that decides what is written.
        write: Writes the files below a folder and returns what became of the rows.
        inputs: Files that decide it as well.
    """

    name: str
    part: str
    files: tuple[str, ...]
    about: Mapping[str, object]
    config: Mapping[str, object]
    write: Callable[[Path], Facts]
    inputs: Mapping[str, Path] = field(default_factory=dict)


def dictionary_unit(pair: str, split: str, path: Path, source: DictionarySource) -> Unit:
    """Describe one split of a dictionary SRC-TGT.

    Raises:
        XlingError: The word list is not there.
    """
    refuse_irregular(path)
    if not path.exists():
        raise XlingError(f"{path}: not found; expected the word list of {pair}, {split}")
    place = f"dictionaries/{pair}.{split}.tsv"

    def write(root: Path) -> Facts:
        facts: Facts = Facts()
        with atomic_file(root / place) as file:
            for number, line in enumerate(read_lines(path), 1):
                facts["rows"] += 1
                words = [
                    clean(word) for word in (line.split("\t") if "\t" in line else line.split())
                ]
                if not words:
                    continue
                if len(words) != 2 or not all(words):
                    message = f"found {shown(line)}, expected a word and its translation"
                    fail(Problem(path, number, f"{message}, separated by a tab or by one space"))
                facts["lines"] += 1
                file.write("\t".join(words) + "\n")
        return facts

    return Unit(
        name=f"dictionaries/{pair}.{split}",
        part=f"dictionaries/{pair}",
        files=(place,),
        about={"source": source.source, "licence": source.licence},
        config={},
        write=write,
        inputs={split: path},
    )


def parallel_unit(
    name: str, languages: Sequence[str], source: ParallelSource, dataset: DataSet
) -> Unit:
    """Describe a parallel set whose languages are configurations with the same rows."""
    configs = [str(source.config_of(language)) for language in languages]

    def write(root: Path) -> Facts:
        rows = _same_rows(configs, source, dataset)
        sentences = (
            tuple(row[column] for row in together) for together in rows for column in source.columns
        )
        return _write(root, name, languages, sentences)

    return Unit(
        name=f"parallel/{name}",
        part=f"parallel/{name}",
        files=tuple(f"parallel/{name}/{language}.txt" for language in languages),
        about={"source": source.data, "revision": dataset.revision, "licence": source.licence},
        config={
            "files": dataset.identity(configs, source.splits),
            "configs": configs,
            **source.model_dump(include={"splits", "columns", "same"}, mode="json"),
        },
        write=write,
    )


def pairs_unit(name: str, language: str, source: PairsSource, dataset: DataSet) -> Unit:
    """Describe a parallel set of a language and the pivot: parallel/NAME-LANG."""
    config = str(source.config_of(language))
    languages = (language, source.pivot)
    full = f"{name}-{language}"

    def write(root: Path) -> Facts:
        rows = dataset.rows(config, source.split, source.columns)
        sentences = (tuple(row[column] for column in source.columns) for row in rows)
        return _write(root, full, languages, sentences)

    return Unit(
        name=f"parallel/{full}",
        part=f"parallel/{full}",
        files=tuple(f"parallel/{full}/{code}.txt" for code in languages),
        about={"source": source.data, "revision": dataset.revision, "licence": source.licence},
        config={
            "files": dataset.identity([config], [source.split]),
            "config": config,
            "split": source.split,
            "columns": list(source.columns),
            "pivot": source.pivot,
        },
        write=write,
    )


def _same_rows(
    configs: Sequence[str], source: ParallelSource, dataset: DataSet
) -> Iterator[tuple[dict[str, object], ...]]:
    """Yield row i of all configurations, after checking that they belong together."""
    columns = [*source.columns, *([source.same] if source.same else [])]
    for split in source.splits:
        streams = [dataset.rows(config, split, columns) for config in configs]
        for number, rows in enumerate(zip_longest(*streams), 1):
            ended = [config for config, row in zip(configs, rows, strict=True) if row is None]
            if ended:
                raise XlingError(
                    f"{source.data}: {split} of {', '.join(ended)} ends before row {number}, other "
                    "languages do not; expected the same rows in every language"
                )
            if source.same and len({str(row[source.same]) for row in rows}) > 1:
                found = ", ".join(
                    f"{config} {shown(str(row[source.same]))}"
                    for config, row in zip(configs, rows, strict=True)
                )
                raise XlingError(
                    f"{source.data}: row {number} of {split} differs in {source.same} ({found}); "
                    "expected the same rows in the same order in every language"
                )
            yield rows


def _write(
    root: Path, name: str, languages: Sequence[str], sentences: Iterator[tuple[Any, ...]]
) -> Facts:
    """Write lines of all languages; a line that is empty in one, or repeated, is left out."""
    facts: Facts = Facts()
    seen: set[tuple[str, ...]] = set()
    with ExitStack() as stack:
        files = [
            stack.enter_context(atomic_file(root / f"parallel/{name}/{language}.txt"))
            for language in languages
        ]
        for together in track(sentences, f"Fetching parallel/{name}", unit="lines"):
            lines = tuple(clean(sentence or "") for sentence in together)
            facts["rows"] += 1
            if not all(lines):
                facts["unusable"] += 1
            elif lines in seen:
                facts["repeated"] += 1
            else:
                seen.add(lines)
                facts["lines"] += 1
                for file, line in zip(files, lines, strict=True):
                    file.write(line + "\n")
        if not facts["lines"]:
            raise XlingError(f"parallel/{name}: the data set has no rows with text")
    return facts
