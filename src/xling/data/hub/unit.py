"""The pieces of a data folder: each is fetched once, and is whole or absent."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What became of a data set's rows: read, lines written, unusable, held out, characters.
Facts = Counter[str]


@dataclass(frozen=True)
class Unit:
    """Files that are written together, from one source.

    Attributes:
        name: Of the unit, unique in the folder, e.g. ``text/wiki/en``.
        part: Under which data.yaml lists it, e.g. ``text/wiki``.
        files: Places in the data folder.
        about: For data.yaml: source, revision, licence.
        config: All that decides what is written.
        write: Writes the files below a folder and says what became of the rows.
        inputs: Files that decide as well.
    """

    name: str
    part: str
    files: tuple[str, ...]
    about: Mapping[str, Any]
    config: Mapping[str, Any]
    write: Callable[[Path], Facts]
    inputs: Mapping[str, Path] = field(default_factory=dict)
