"""Parallel lines: Moses' pairs of files, TMX, and the folders of FLORES and NTREX."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from xml.parsers import expat

from xling.data.importing.job import LONGEST, Job, Key, Reading
from xling.data.importing.languages import Tag, parse_code
from xling.data.importing.look import Given, Look
from xling.data.importing.streams import Stream, unpacked_name
from xling.data.layout import unequal_counts
from xling.errors import XlingError
from xling.files import reading_fault

_NTREX = re.compile(r"newstest2019-(src|ref|ref-[0-9])\.([A-Za-z-]+)\.txt")
_FLORES = re.compile(r"([a-z]{3}_[A-Z][a-z]{3})\.(dev|devtest|test)")
# Text inside these is code for layout, not words (TMX 1.4b, section 3).
_CODES = ("bpt", "ept", "it", "ph", "ut")
_FIRST_UNITS = 1_000
_log = logging.getLogger(__name__)


def parallel_job(name: str, what: str, files: Mapping[Tag, Path], given: Given) -> Job:
    """Return the job for files in which line i means the same in each."""

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        return _side_by_side(files, reading)

    return Job(what, given.named("parallel", name), tuple(files.values()), read, own=files)


def _side_by_side(files: Mapping[Tag, Path], reading: Reading) -> Iterator[tuple[Key, str]]:
    keys = list(files)
    counts = dict.fromkeys(files.values(), 0)
    streams = [reading.lines(path) for path in files.values()]
    ended = False
    for rows in zip_longest(*streams):
        for path, row in zip(counts, rows, strict=True):
            counts[path] += row is not None
        ended |= None in rows
        if ended:
            continue  # only to count the lines
        number = rows[0][0]
        texts = [
            reading.clean(row[1], files[key], number) for key, row in zip(keys, rows, strict=True)
        ]
        if all(texts):
            yield from zip(keys, texts, strict=True)
    if fault := unequal_counts(counts):
        raise XlingError(f"{next(iter(counts)).parent}: {fault}")


def moses_jobs(looks: Iterable[Look], given: Given) -> tuple[list[Job], list[Look]]:
    """Return jobs for parallel files, whose names differ only in the language at their end.

    Returns:
        The jobs, and the files that have no counterpart.
    """
    groups: dict[tuple[Path, str], dict[Tag, Look]] = {}
    looks = list(looks)
    for look in looks:
        # news.fr is Moses'; whether news.fr.txt has the lines of news.en.txt, the user must say.
        plain = look.path.name if given.kind != "parallel" else look.stem
        stem, _, code = unpacked_name(plain).rpartition(".")
        tag = parse_code(code)
        if tag and stem and look.kind != "parquet" and given.kind in ("", "parallel"):
            groups.setdefault((look.path.parent, stem), {})[tag] = look
    jobs, used = [], set()
    for group in groups.values():
        if len(group) > 1 and all(_is_plain(look) for look in group.values()):
            name = next(iter(group.values())).name("bitext")
            files = {tag: look.path for tag, look in group.items() if given.wants(tag)}
            used |= {look.path for look in group.values()}
            jobs.append(parallel_job(name, "Moses' parallel files", files, given))
    return jobs, [look for look in looks if look.path not in used]


def _is_plain(look: Look) -> bool:
    return not look.filled or not look.filled[0].lstrip().startswith(("{", "<"))


def folder_jobs(folder: Path, files: Iterable[Path], given: Given) -> tuple[list[Job], set[Path]]:
    """Return jobs for the files of FLORES and NTREX in a folder.

    Returns:
        The jobs, and the files that they read.
    """
    if given.kind not in ("", "parallel"):
        return [], set()
    sets: dict[str, dict[Tag, Path]] = {}
    used: set[Path] = set()
    # The English that NTREX was translated from comes before its other versions.
    for path in sorted(files, key=lambda path: ("-src." not in path.name, path)):
        if match := _NTREX.fullmatch(path.name):
            name, code = "ntrex", match[2]
        elif (match := _FLORES.fullmatch(path.name)) and path.parent.name == match[2]:
            name, code = f"flores-{match[2]}", match[1]
        else:
            continue
        used.add(path)
        tag = parse_code(code)
        if tag is None:
            raise XlingError(f"{path}: {code} is no language code")
        same = sets.setdefault(name, {})
        # NTREX has a second translation into Spanish, and several versions of its English.
        second = "-ref-" in path.name or (tag.language == "en" and _has_english(same))
        if name == "ntrex" and second:
            _log.info("%s: not read, since %s has another text in this language", path, name)
        elif given.wants(tag):
            if tag in same:
                raise XlingError(f"{path}: in the same language as {same[tag].name}; remove one")
            same[tag] = path
    jobs = []
    for name, languages in sets.items():
        if len(languages) < 2:
            raise XlingError(
                f"{folder}: {name} has {len(languages)} of the languages of --language, expected "
                "at least two"
            )
        what = "NTREX" if name == "ntrex" else f"FLORES, {name.partition('-')[2]}"
        jobs.append(parallel_job(name, f"{what}: {len(languages)} languages", languages, given))
    return jobs, used


def _has_english(tags: Iterable[Tag]) -> bool:
    return any(tag.language == "en" for tag in tags)


def tmx_job(look: Look, given: Given) -> Job | None:
    """Return the job for a translation memory; None if the file is none."""
    start = "\n".join(look.lines[:50])
    if "<tmx" not in start:
        return None
    languages = given.languages or _first_languages(look.path)
    if len(languages) < 2:
        raise XlingError(f"{look.path}: TMX with no unit in two languages; nothing to import")

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, unit in _units(look.path, reading.advance):
            texts = []
            for tag in languages:
                found = next((text for of, text in unit.items() if of[:2] == tag[:2]), None)
                if found is None:
                    reading.leave_out(f"not in {tag.language}", look.path, number)
                    break
                texts.append(reading.clean(found, look.path, number))
            if len(texts) == len(languages) and all(texts):
                yield from zip(languages, texts, strict=True)

    part = given.named("parallel", look.name("bitext"))
    codes = " and ".join(tag.language for tag in languages)
    return Job(f"TMX in {codes}", part, (look.path,), read)


def _first_languages(path: Path) -> tuple[Tag, ...]:
    """Return the languages of the first unit that has at least two."""
    best: tuple[Tag, ...] = ()
    for count, (_, unit) in enumerate(_units(path)):
        best = max(best, tuple(unit), key=len)
        if count >= _FIRST_UNITS or len(best) > 1:
            break
    return best


def _units(
    path: Path, advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, dict[Tag, str]]]:
    """Yield the line of each translation unit, and its segments by language."""
    reader = _TmxReader(path)
    try:
        with closing(Stream(path, advance)) as stream:
            while piece := stream.read1():
                reader.feed(piece)
                yield from reader.taken()
            reader.feed(b"", last=True)
            yield from reader.taken()
    except OSError as error:
        raise XlingError(f"{path}: {reading_fault(error)}") from None


class _TmxReader:
    """Reads a TMX piece by piece; units that were taken are not kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._entity
        self._found: list[tuple[int, dict[Tag, str]]] = []
        self._unit: dict[Tag, str] = {}
        self._tag: Tag | None = None
        self._text: list[str] | None = None
        self._size = self._line = self._codes = 0

    def feed(self, piece: bytes, last: bool = False) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            said = expat.errors.messages[error.code]
            raise XlingError(
                f"{self._path}, line {error.lineno}: not valid XML ({said}); expected TMX"
            ) from None

    def taken(self) -> list[tuple[int, dict[Tag, str]]]:
        found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "tu":
            self._unit, self._line = {}, self._parser.CurrentLineNumber
        elif name == "tuv":
            code = attributes.get("xml:lang") or attributes.get("lang") or ""
            self._tag = parse_code(code)
            if self._tag is None:
                raise XlingError(
                    f"{self._path}, line {self._parser.CurrentLineNumber}: found a variant in "
                    f"language {code!r}, expected a code like fr or fr-FR"
                )
        elif name == "seg":
            self._text, self._size = [], 0
        elif name in _CODES:
            self._codes += 1

    def _end(self, name: str) -> None:
        if name == "seg" and self._text is not None:
            if self._tag is not None:
                self._unit[self._tag] = "".join(self._text)
            self._text = None
        elif name == "tu" and self._unit:
            self._found.append((self._line, self._unit))
            self._unit = {}
        elif name in _CODES:
            self._codes -= 1

    def _characters(self, text: str) -> None:
        # One letter more than is allowed shows that a segment is too long.
        if self._text is not None and not self._codes and self._size <= LONGEST:
            self._text.append(text)
            self._size += len(text)

    def _entity(self, *_: object) -> None:
        raise XlingError(
            f"{self._path}, line {self._parser.CurrentLineNumber}: declares an entity, which "
            "can stand for text without end; remove the declaration"
        )
