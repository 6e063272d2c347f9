"""What data.yaml says of a data folder's parts: where they come from, and each step since.

```yaml
languages: [en, fr]
parts:
  text/wiki/fr:
    source: frwiki.txt.gz
    licence: CC-BY-SA-4.0
    revision: 2024-05-01
    files: [{name: frwiki.txt.gz, bytes: 812, sha256: 9f86...}]
    steps:
      - {step: import, library: xling, version: 1.0, settings: {...}, counts: {kept: 40, empty: 2}}
```

The key of a record is the place that it describes: a part (``nli``), a set of it
(``text/wiki``), or one file without its ending (``text/wiki/fr``, ``nli/fr/test``,
``dictionaries/en-fr.train``). A file's record takes precedence over that of its set.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xling import __version__
from xling.errors import XlingError
from xling.files import read_yaml, reading_fault, refuse_irregular, write_if_changed
from xling.settings import explain

LISTED = "data.yaml"
PARTS = ("text", "parallel", "dictionaries", "nli", "ner", "ud", "topics")


def _as_text(value: object) -> object:
    """Return as text what YAML reads as a date or number (``2024-05-01``, ``1``)."""
    plain = value is None or isinstance(value, bool | dict | list)
    return "" if value is None else value if plain else str(value)


Written = Annotated[str, BeforeValidator(_as_text)]


class Step(BaseModel):
    """One thing that was done to a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Written = Field(..., description="What was done, e.g. import or lower-case.")
    library: Written = Field(..., description="The package that did it, e.g. sacremoses.")
    version: Written = Field("", description="Its version.")
    settings: dict[str, object] = Field({}, description="Everything that decides what it does.")
    counts: dict[str, object] = Field({}, description="Lines kept, and left out by reason.")

    @classmethod
    def of(
        cls,
        step: str,
        library: str = "xling",
        settings: Mapping[str, object] | None = None,
        counts: Mapping[str, object] | None = None,
    ) -> "Step":
        """Return a step with the installed version of its library."""
        return cls(
            step=step,
            library=library,
            version=library_version(library),
            settings=dict(settings or {}),
            counts=dict(counts or {}),
        )


class SourceFile(BaseModel):
    """A file that a part was made from, as it was then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Written = Field(..., description="Its name, without the folder it lay in.")
    bytes: int = Field(..., description="Its size.")
    sha256: Written = Field(..., description="The SHA-256 of its bytes.")

    @classmethod
    def read(cls, path: Path, name: str | None = None) -> "SourceFile":
        """Describe a file as it is now.

        Args:
            path: The file.
            name: What to call it; its own name by default.
        """
        refuse_irregular(path)
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return cls(name=name or path.name, bytes=file.tell(), sha256=digest)
        except OSError as error:
            raise XlingError(f"{path}: {reading_fault(error)}") from None


class Record(BaseModel):
    """Where a part comes from, and what was done to it; other keys of a user are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    source: Written = Field("", description="The data set, or the files it came from.")
    licence: Written = Field("", description="Its licence, as an SPDX identifier if it has one.")
    revision: Written = Field("", description="Commit, version or date of the source.")
    files: tuple[SourceFile, ...] = Field((), description="The files it was made from.")
    steps: tuple[Step, ...] = Field((), description="What was done to it, in order.")

    def after(self, *steps: Step) -> "Record":
        """Return this record with further steps."""
        return self.model_copy(update={"steps": (*self.steps, *steps)})


@dataclass(frozen=True)
class Provenance:
    """What data.yaml says.

    Attributes:
        languages: In the order in which tables list them.
        records: By the place that they describe.
        rest: Other keys that a user has written there.
    """

    languages: tuple[str, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    rest: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Provenance":
        """Read data.yaml of a data folder; the result is empty without one.

        Raises:
            XlingError: It cannot be read, or a record is invalid.
        """
        path = folder / LISTED
        content = read_yaml(path) if path.is_file() else {}
        if not isinstance(content, dict):
            raise XlingError(f"{path}: found no keys, expected for example `languages: [en, fr]`")
        parts = content.pop("parts", None) or {}
        if not isinstance(parts, dict):
            raise XlingError(f"{path}: parts: found {parts!r}, expected parts with their source")
        # As written by hand: text: {source: my own crawl}
        parts = {name: content.pop(name) for name in PARTS if _is_map(content.get(name))} | parts
        languages = tuple(map(str, content.pop("languages", None) or ()))
        records = {str(place): _record(path, str(place), of) for place, of in parts.items()}
        return cls(languages, records, content)

    def of(self, place: str) -> Record:
        """Return what is known of a place, from the closest record that covers it.

        Args:
            place: Such as ``text/wiki/fr``, ``nli/fr/test`` or ``dictionaries/en-fr.train``.
        """
        while place not in self.records:
            cut = max(place.rfind("/"), place.rfind(".") if "dictionaries/" in place else -1)
            if cut < 0:
                return Record()
            place = place[:cut]
        return self.records[place]

    def having(self, records: Mapping[str, Record], languages: Iterable[str] = ()) -> "Provenance":
        """Return this with further records, which replace those of the same places.

        Args:
            records: By place.
            languages: Those to list as well, after the others.
        """
        together = tuple(dict.fromkeys([*self.languages, *languages]))
        return replace(self, languages=together, records={**self.records, **records})

    def text(self) -> str:
        """Return this as the text of a data.yaml."""
        parts = {
            place: record.model_dump(mode="json", exclude_defaults=True)
            for place, record in self.records.items()
        }
        content = {"languages": list(self.languages), **self.rest, "parts": parts}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)

    def write(self, folder: Path) -> None:
        """Write data.yaml of a data folder, unless it says this already."""
        write_if_changed(folder / LISTED, self.text())


def library_version(library: str) -> str:
    """Return the installed version of a package; empty if it is not installed."""
    if library == "xling":
        return __version__
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _record(path: Path, place: str, content: object) -> Record:
    if not isinstance(content, dict):
        raise XlingError(f"{path}: parts: {place}: found {content!r}, expected keys like source")
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        raise XlingError(f"{path}: parts: {place}: {explain(error)}") from None
