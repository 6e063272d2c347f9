"""A first look at a file: how it is packed, its first lines, and what its name says."""

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xling.data.importing.languages import Tag, code_in, pair_in, parse_code, read_code
from xling.data.importing.streams import ENDINGS, Stream
from xling.data.provenance import PARTS
from xling.errors import XlingError
from xling.files import reading_fault
from xling.names import as_name, check_name

_SAMPLE = 1 << 18  # bytes
_FORMATS = (
    *(".txt", ".tsv", ".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".conllu", ".conll"),
    *(".iob", ".iob2", ".bio", ".vec", ".tmx", ".xml", ".tok", ".tab", ".dic"),
)
_SPLITS = {"train": "train", "training": "train", "dev": "dev", "devel": "dev", "valid": "dev"}
_SPLITS |= {"validation": "dev", "val": "dev", "test": "test", "testa": "dev", "testb": "test"}
# Of MUSE: the first 5,000 source words are for training, the next 1,500 for tests.
_SPLITS |= {"0-5000": "train", "5000-6500": "test"}
_WIKI = re.compile(r"([a-z]{2,3}(?:_[a-z]+)*)wiki(?:[^a-z].*)?")
_MANY_NULS = 0.2
_log = logging.getLogger(__name__)
SHARD = re.compile(r"-[0-9]{3,}-of-[0-9]{3,}")


@dataclass(frozen=True)
class Given:
    """What the user says of all sources.

    Attributes:
        part: The part they become: ``text/wiki``, ``ner``, ...; empty if the content decides.
        languages: Their languages, in the order of columns; empty if file names decide.
    """

    part: str = ""
    languages: tuple[Tag, ...] = ()

    @property
    def kind(self) -> str:
        """The part without its name."""
        return self.part.partition("/")[0]

    def named(self, kind: str, name: str) -> str:
        """Return ``KIND/NAME`` with the name that the user gave, else the one given here."""
        return f"{kind}/{self.part.partition('/')[2] or name}"

    def wants(self, tag: Tag) -> bool:
        """Whether to import a language that the source itself names."""
        return not self.languages or any(
            tag[:2] == of[:2] and of.region in ("", tag.region) for of in self.languages
        )


class Look:
    """A file, and what is known of it before it is read.

    Attributes:
        path: The file.
        above: Names of the folders above it that belong to the source, the closest first.
        kind: ``plain``, ``gzip``, ..., ``parquet``.
    """

    def __init__(self, path: Path, above: tuple[str, ...] = ()) -> None:
        self.path = path
        self.above = above
        try:
            with Stream(path) as stream:
                self.kind = stream.kind
        except OSError as error:
            raise XlingError(f"{path}: {reading_fault(error)}") from None

    def forget(self) -> None:
        """Drop the lines; they are read again if they are asked for."""
        for name in ("lines", "filled"):
            self.__dict__.pop(name, None)

    def _start(self) -> bytes:
        start = b""
        try:
            with Stream(self.path) as stream:
                while len(start) < _SAMPLE and (piece := stream.read1(_SAMPLE - len(start))):
                    start += piece
        except OSError as error:
            raise XlingError(f"{self.path}: {reading_fault(error)}") from None
        return start

    @cached_property
    def lines(self) -> list[str]:
        """The first lines of a text file, without their ends.

        Raises:
            XlingError: It has too many NUL bytes for a text in UTF-8.
        """
        start = self._start()
        if start.count(0) > _MANY_NULS * len(start):
            raise XlingError(
                f"{self.path}, line 1: found {start.count(0):,} NUL bytes in the first "
                f"{len(start):,}; no text in UTF-8. If it is UTF-16: iconv -f UTF-16 -t UTF-8"
            )
        text = start.decode("utf-8-sig", errors="replace")
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        cut = len(start) >= _SAMPLE or not lines[-1]
        return lines[:-1] if cut and len(lines) > 1 else lines

    @cached_property
    def filled(self) -> list[str]:
        """Those of the first lines that are not blank."""
        return [line for line in self.lines if line.strip()]

    @cached_property
    def stem(self) -> str:
        """The file's name without the endings for packing and format."""
        name = self.path.name
        name = SHARD.sub("", name)
        for _ in range(2):
            for ending in (*ENDINGS, *_FORMATS):
                if name.lower().endswith(ending) and len(name) > len(ending):
                    name = name[: -len(ending)]
                    break
        return name

    @cached_property
    def _pieces(self) -> list[str]:
        return self.stem.split(".")

    @cached_property
    def tag(self) -> Tag | None:
        """The language in the file's name, or in the name of a folder of the source."""
        for piece in reversed(self._pieces):
            if tag := code_in(piece, alone=piece == self.stem):
                return tag
        for piece in re.split(r"[._-]", self.stem):
            if len(piece) == 2 and (tag := code_in(piece)):
                return tag
        for name in (self.stem, *self.above):
            if match := _WIKI.fullmatch(name):
                return parse_code(match[1].replace("_", "-"))
            if name is not self.stem and (tag := code_in(name, alone=True)):
                return tag
        return None

    @cached_property
    def pair(self) -> tuple[Tag, Tag] | None:
        """The two languages in the file's name, as in ``en-fr``."""
        pieces = [*reversed(self._pieces), *re.split(r"[._]", self.stem)]
        return next((pair for piece in pieces if (pair := pair_in(piece))), None)

    @cached_property
    def split(self) -> str:
        """``train``, ``dev`` or ``test``, if the file's name says so; else empty."""
        pieces = [*re.split(r"[._]", self.stem), *re.split(r"[._-]", self.stem)]
        return next((_SPLITS[p.lower()] for p in reversed(pieces) if p.lower() in _SPLITS), "")

    def name(self, default: str) -> str:
        """Return the file's name without languages and split, as the name of a set."""
        kept = [
            piece
            for piece in self._pieces
            if not (code_in(piece) or pair_in(piece) or piece.lower() in _SPLITS)
        ]
        name = as_name("-".join(kept)) if kept and not _WIKI.fullmatch(self.stem) else default
        if tag := self.tag:
            ends = {f"{mark}{code}" for mark in "-_" for code in (tag.language,)}
            for end in ends:
                name = name.removesuffix(end)
        return name or default

    def language(self, given: Given) -> Tag:
        """Return the one language of the file.

        Raises:
            XlingError: Neither its name nor the user says which, or the user wants others.
        """
        if len(given.languages) == 1:
            return given.languages[0]
        if self.tag is None:
            raise XlingError(
                f"{self.path}: its name does not say which language it is in; name it like "
                "NAME.fr.txt or fr/NAME.txt, or give --language fr"
            )
        if not given.wants(self.tag):
            raise XlingError(
                f"{self.path}: by its name in {self.tag.language}, which is not among those of "
                "--language; leave it out or name one language"
            )
        return self.tag

    def languages_of_pair(self, given: Given) -> tuple[Tag, Tag]:
        """Return the two languages of the file's columns.

        Raises:
            XlingError: Neither its name nor the user says which.
        """
        if len(given.languages) == 2:
            return given.languages[0], given.languages[1]
        if self.pair is None:
            raise XlingError(
                f"{self.path}: its name does not say which two languages it is in; name it like "
                "en-fr.txt, or give --language en,fr"
            )
        return self.pair


def given(part: str | None, languages: str | None) -> Given:
    """Read what the user says of the sources with ``--as`` and ``--language``.

    Raises:
        XlingError: There is no such part, or a language's name is invalid.
    """
    kind, _, name = (part or "").partition("/")
    named = ("text", "parallel")
    if part and (kind not in (*PARTS, "vectors") or (name and kind not in named)):
        known = ", ".join([*(f"{p}/NAME" if p in named else p for p in PARTS), "vectors"])
        raise XlingError(f"--as {part}: no part of a data folder; the parts are {known}")
    if name:
        check_name(name, "domain" if kind == "text" else "parallel set")
    codes = [code.strip() for code in (languages or "").split(",") if code.strip()]
    for code in codes:
        if parse_code(code) is None:
            _log.warning(
                "--language %s: is no language's code, such as fr, swa or zh-Hans; taken as a name",
                code,
            )
    return Given(part or "", tuple(read_code(code) for code in codes))
