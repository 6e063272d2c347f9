"""Files of a data folder that are not text: linked to, or rewritten as the text is.

Nothing is ever left out of them. Gold words stay single words (tokens of ``ner`` and ``ud``,
``LANG.words``, and lines whose words a ``.align`` counts); everything else is written like
text.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xling.data.layout import TASK_ENDINGS, DataFolder
from xling.data.lines import read_lines
from xling.data.preparing.settings import PrepareSettings
from xling.data.preparing.writing import LineWriter
from xling.errors import XlingError
from xling.files import content_hash, plain_or_gzipped
from xling.names import cut_dictionary


class Place(NamedTuple):
    """A file of the layout.

    Attributes:
        path: The file, perhaps gzipped.
        name: Its path in a data folder, without ``.gz``.
        languages: Its language, or the two of a dictionary or an alignment.
    """

    path: Path
    name: str
    languages: tuple[str, ...]

    @property
    def record(self) -> str:
        """The place of its record in data.yaml."""
        return self.name.rpartition(".")[0]


def evaluation_places(folder: DataFolder) -> Iterator[Place]:
    """Yield every file of a folder's layout that is not text, sorted within each part."""
    for name in folder.parallel_sets():
        for language in folder.set_languages("parallel", name):
            yield from _place(folder, f"parallel/{name}/{language}.txt", (language,))
            yield from _place(folder, f"parallel/{name}/{language}.words", (language,))
        for path in sorted((folder.root / "parallel" / name).glob("*.align*")):
            pair = path.name.partition(".align")[0]
            two = cut_dictionary(pair, folder.languages)
            yield from _place(folder, f"parallel/{name}/{pair}.align", two)
    for name in folder.dictionaries():
        two = cut_dictionary(name.rpartition(".")[0], folder.languages)
        yield from _place(folder, f"dictionaries/{name}.tsv", two)
    for part, ending in TASK_ENDINGS.items():
        for language in folder.task_languages(part):
            for split in folder.splits(part, language):
                yield from _place(folder, f"{part}/{language}/{split}{ending}", (language,))


def _place(folder: DataFolder, name: str, languages: tuple[str, ...]) -> Iterator[Place]:
    path = plain_or_gzipped(folder.root / name)
    if path:
        yield Place(path, name, languages)


def write_evaluation(place: Place, out: Path, settings: PrepareSettings) -> None:
    """Write a file below ``out`` as the settings say, or link to it if they change nothing.

    Raises:
        XlingError: it is there already; if it is linked to, only with other content.
    """
    if settings.changes_words and not place.name.endswith(".align"):
        write = _writer(place, settings)
        target = out / place.name
        lines = (write(line) + "\n" for line in read_lines(place.path))
        if target.exists():  # from another folder
            raise XlingError(
                f"{place.path}: another folder has {place.name} too, so it is not clear which "
                "one to take; remove one of them"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    else:
        link(place, out)


def link(place: Place, out: Path) -> None:
    """Link to a file below ``out``.

    Raises:
        XlingError: another folder has given a file of this name with other content.
    """
    target = out / (place.name + (".gz" if place.path.suffix == ".gz" else ""))
    there = plain_or_gzipped(out / place.name)
    if there is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.realpath(place.path))
    elif content_hash(there) != content_hash(place.path):
        raise XlingError(
            f"{place.path}: another folder has a different {place.name}; remove one of them"
        )


def _writer(place: Place, settings: PrepareSettings) -> Callable[[str], str]:
    """Return the function that rewrites a line of a file."""
    writers = [LineWriter(language, settings) for language in place.languages]
    one, other = writers[0], writers[-1]
    part = place.name.partition("/")[0]
    if part == "dictionaries":
        return lambda line: _columns(line, one.word, other.word)
    if part == "nli":
        return lambda line: _columns(line, one.line, one.line)
    if part == "topics":
        return lambda line: _columns(line, str, str, one.line)
    if part == "ner":
        return lambda line: _columns(line, one.word)
    if part == "ud":
        return lambda line: _conllu(line, one)
    if _words_are_gold(place):
        return lambda line: " ".join(map(one.word, line.split()))
    return one.line


def _words_are_gold(place: Place) -> bool:
    """Tell whether a file beside a parallel set's lines counts their words."""
    (language,) = place.languages
    folder = place.path.parent
    if plain_or_gzipped(folder / f"{language}.words"):
        return True
    pairs = (path.name.partition(".align")[0] for path in folder.glob("*.align*"))
    return any(pair.startswith(f"{language}-") or pair.endswith(f"-{language}") for pair in pairs)


def _columns(line: str, *write: Callable[[str], str]) -> str:
    """Rewrite the first fields of a row, each by its function."""
    fields = line.split("\t")
    count = min(len(write), len(fields))
    changed = [function(field) for function, field in zip(write, fields, strict=False)]
    return "\t".join([*changed, *fields[count:]])


def _conllu(line: str, writer: LineWriter) -> str:
    if line.startswith("#"):
        head, sign, text = line.partition("# text = ")
        return line if head or not sign else sign + writer.line(text)
    fields = line.split("\t")
    if len(fields) > 1:
        fields[1] = writer.word(fields[1])
    return "\t".join(fields)
