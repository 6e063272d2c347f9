"""Languages derived from another: a copy of it, or one with reversed word order.

For both, it is known exactly what they share with their original: a copy shares everything but its
name (Conneau et al. 2020, section 5.2: en-en'), the other everything but word order (Dufter &
Schütze 2020).
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xling.artefact import RECORD, building, check_output, describe, is_current
from xling.data.layout import DataFolder
from xling.data.lines import read_blocks
from xling.data.provenance import LISTED, Provenance, Record, Step
from xling.errors import XlingError
from xling.files import atomic_file, plain_or_gzipped
from xling.names import Language, cut_dictionary


class Derivation(BaseModel):
    """Which language a language is derived from, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Language = Field(..., description="the language to derive from")
    how: Literal["same", "inverted"] = Field(
        ..., description="same: a copy; inverted: the words of each line in reverse order"
    )


class DeriveSettings(BaseModel):
    """Which languages to add to a data folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: dict[Language, Derivation] = Field(
        ..., min_length=1, description="e.g. {en_same: {of: en, how: same}}"
    )


def derive(data: DataFolder, settings: DeriveSettings, out: Path) -> None:
    """Write a data folder with everything of ``data`` and languages derived from its own.

    Existing files are not copied: ``out`` links to them, so ``data`` must stay where it is.
    A new language gets text, parallel lines and a dictionary. The dictionary has the training and
    test words of its original's first dictionary, each as its own translation. (Trees, spans and
    word alignments are not derived: those of an inverted language would have to be reversed too.)

    Args:
        data: The data folder.
        settings: The languages to add.
        out: The folder to write; left alone if it is current.

    Raises:
        XlingError: A language that exists already, or one without text to derive it from.
    """
    check_output(out, "derive", data.root)
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(data.root)):
        raise XlingError(
            f"{out}: lies in the data folder {data.root}, whose files it would link to; name a "
            "folder outside"
        )
    for language, made in settings.languages.items():
        _check(data, language, made.of)
    there = file_names(data)
    description = describe(
        "derive",
        {**settings.model_dump(), "files": there},
        {str(path.relative_to(data.root)): path for path in originals(data, settings)},
    )
    if is_current(out, description):
        return
    with building(out, description) as folder:
        for name in there:
            _link(data.root / name, folder / name)
        for language, made in settings.languages.items():
            _add(data, folder, language, made)
        _list_languages(data, settings, folder)


def _check(data: DataFolder, language: str, original: str) -> None:
    if language in data.languages:
        raise XlingError(f"{data.root}: has a language {language} already; choose another name")
    if not data.domains(original):
        raise XlingError(
            f"{data.root}: no text in {original} to make {language} from; its languages are "
            f"{', '.join(data.languages)}"
        )


def file_names(data: DataFolder) -> list[str]:
    """Return every file of a data folder except its list and its record."""
    own = {data.root / LISTED, data.root / RECORD}
    return sorted(
        str(path.relative_to(data.root))
        for path in data.root.rglob("*")
        if path.is_file() and path not in own
    )


def originals(data: DataFolder, settings: DeriveSettings) -> list[Path]:
    """Return the files that new languages are made from."""
    made_from = sorted({made.of for made in settings.languages.values()})
    found = [
        path
        for language in made_from
        for part in (_sentences(data, language), source_dictionaries(data, language))
        for path in part.values()
    ]
    return list(dict.fromkeys(found))


def _sentences(data: DataFolder, language: str) -> dict[str, Path]:
    """Return a language's text and parallel files, by the folder they lie in."""
    folders = [f"text/{domain}" for domain in data.domains(language)]
    folders += [f"parallel/{name}" for name in data.parallel_sets(language)]
    found = {f: plain_or_gzipped(data.root / f / f"{language}.txt") for f in folders}
    return {folder: path for folder, path in found.items() if path}


def source_dictionaries(data: DataFolder, language: str) -> dict[str, Path]:
    """Return the splits of the first dictionary with a language as its source.

    Both come from one dictionary, so that no word is in both train and test.
    """
    pairs = [name.rpartition(".")[0] for name in data.dictionaries()]
    first = (pair for pair in pairs if cut_dictionary(pair, data.languages)[0] == language)
    pair = next(first, None)
    paths = {
        split: plain_or_gzipped(data.root / "dictionaries" / f"{pair}.{split}.tsv")
        for split in ("train", "test")
    }
    return {split: path for split, path in paths.items() if path}


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())


def _add(data: DataFolder, folder: Path, language: str, made: Derivation) -> None:
    for where, path in _sentences(data, made.of).items():
        if made.how == "same":
            words = plain_or_gzipped(data.root / where / f"{made.of}.words")
            for original in (path, words) if words else (path,):
                ending = original.name.removeprefix(made.of)
                _link(original, folder / where / f"{language}{ending}")
        else:
            _invert(path, folder / where / f"{language}.txt")
    for split, path in source_dictionaries(data, made.of).items():
        target = folder / "dictionaries" / f"{made.of}-{language}.{split}.tsv"
        _, other = cut_dictionary(path.name.partition(".")[0], data.languages)
        triples = data.dictionary(made.of, other, split)
        with atomic_file(target) as file:
            file.writelines(f"{word}\t{word}\n" for word in dict.fromkeys(t[0] for t in triples))


def _invert(source: Path, target: Path) -> None:
    with atomic_file(target) as file:
        for block in read_blocks(source):
            file.writelines(" ".join(line.split()[::-1]) + "\n" for line in block.lines())


def _list_languages(data: DataFolder, settings: DeriveSettings, folder: Path) -> None:
    """Write data.yaml: a derived language has its original's record and how it was derived."""
    known = Provenance.read(data.root)
    records: dict[str, Record] = {}
    for language, made in settings.languages.items():
        step = Step.of("derive", settings=made.model_dump())
        for where in _sentences(data, made.of):
            records[f"{where}/{language}"] = known.of(f"{where}/{made.of}").after(step)
        for path in source_dictionaries(data, made.of).values():
            pair, _, split = path.name.removesuffix(".gz").removesuffix(".tsv").rpartition(".")
            origin = known.of(f"dictionaries/{pair}.{split}")
            records[f"dictionaries/{made.of}-{language}.{split}"] = origin.after(step)
    derived = {language: made.model_dump() for language, made in settings.languages.items()}
    listed = Provenance(data.languages, known.records, {**known.rest, "derived": derived})
    listed.having(records, derived).write(folder)
