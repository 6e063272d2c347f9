"""What an import does: files of one format that become parts, and what became of their lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from xling.data.hub.dataset import clean
from xling.data.importing.languages import Tag
from xling.data.importing.streams import Stream
from xling.data.lines import Block, Problem, Report, counted, fail, lone_returns, read_blocks
from xling.errors import XlingError

Key = Tag | tuple[Tag, Tag]
"""What an entry belongs to: a language, or in dictionaries a pair."""

LONGEST = 1_000_000  # characters of a line; books have fewer in a chapter
# Odd characters that `clean` removes or replaces, by what messages call them.
_ODD = {
    "NUL bytes": "\0",
    "byte order marks inside": "\ufeff",
    "U+2028 and other line separators": "\u2028\u2029\x85\v\f\x1c\x1d\x1e\x1f",
    "carriage returns inside": "\r",
    "other control characters": "".join(map(chr, [*range(1, 9), *range(14, 28), 127])),
}
_LOST = "\ufffd"  # stands for letters that were lost before; `clean` keeps it
_ODD_LETTERS = frozenset("".join(_ODD.values()) + _LOST)
# In a line without these characters, `clean` only removes spaces at both ends.
_UNUSUAL = re.compile("[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029\ufeff\ufffd]")


class Reading:
    """Reads files and counts what becomes of their lines.

    Attributes:
        counts: Lines kept, left out, changed and damaged, by language (None: not yet known).
        first: The first place of each reason.
        job: The job being read now, of several that are read as one.
    """

    def __init__(self, advance: Callable[[int], None] = lambda _: None) -> None:
        self.counts: dict[Key | None, Counter[str]] = {}
        self.first: dict[str, Problem] = {}
        self.advance = advance
        self.job: Job | None = None

    def blocks(self, path: Path) -> Iterator[Block]:
        """Yield the lines of a file, however it is packed; see `lines.read_blocks`.

        Raises:
            XlingError: It is damaged, not UTF-8, or unpacks without end.
        """
        stream: Stream | None = None

        def opened(name: Path) -> IO[bytes]:
            nonlocal stream
            stream = Stream(name, self.advance)
            return stream  # type: ignore[return-value]

        single, returns = True, 0
        for block in read_blocks(path, fail, opened):
            single &= block.first == 1 and "\n" not in block.text
            returns += block.text.count("\r") if single else 0
            yield block
        if single and returns:
            raise XlingError(f"{path}: found 1 line and {lone_returns(returns)}")
        assert stream is not None
        if stream.mark:
            self.note("byte order mark at the start dropped", path, 1)
        if mixed := stream.mixed():
            place, _, said = mixed.partition(": ")
            self.note(said, path, int(place.split()[1].replace(",", "")))

    def lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """Yield the number and text of each line; see `blocks`."""
        for block in self.blocks(path):
            yield from enumerate(block.lines(), block.first)

    def texts(self, path: Path, key: Key) -> Iterator[str]:
        """Yield the cleaned lines of running text, without empty ones."""
        for block in self.blocks(path):
            usual = _UNUSUAL.search(block.text) is None
            for number, line in enumerate(block.lines(), block.first):
                text = line.strip() if usual and len(line) <= LONGEST else ""
                if text or (text := self.clean(line, path, number, key)):
                    yield text

    def clean(self, text: str, path: Path, number: int, key: Key | None = None) -> str:
        """Return text on one line, in NFC; count empty or too long text, and return nothing."""
        if len(text) > LONGEST:
            self.leave_out(f"longer than {LONGEST:,} characters", path, number, key)
            return ""
        if not _ODD_LETTERS.isdisjoint(text):
            for what, letters in _ODD.items():
                if any(letter in text for letter in letters):
                    self.count(f"changed: {what}", path, number, key)
            if _LOST in text:
                self.count("damaged: replacement characters (U+FFFD)", path, number, key)
        cleaned = clean(text)
        if not cleaned:
            self.leave_out("empty", path, number, key)
        return cleaned

    def leave_out(self, reason: str, path: Path, number: int, key: Key | None = None) -> None:
        """Count a line that is left out."""
        self.count(f"left out: {reason}", path, number, key)

    def note(self, what: str, path: Path, number: int) -> None:
        """Remember a remark about a file that changes no line."""
        self.first.setdefault(f"{path.name}: {what}", Problem(path, number, what))

    def count(self, what: str, path: Path, number: int, key: Key | None = None) -> None:
        """Count something about a line, and remember where it occurred first."""
        self.counts.setdefault(key, Counter())[what] += 1
        if what not in self.first:
            self.first[what] = Problem(path, number, what)

    def faulty(self, key: Key) -> Report:
        """Return the function to which a reader of annotated sentences reports faults."""

        def report(problem: Problem) -> None:
            self.counts.setdefault(key, Counter())["left out: faulty"] += 1
            self.first.setdefault("left out: faulty", problem)

        return report


@dataclass(frozen=True)
class Job:
    """Files of one format that become one part, or the same part of several languages.

    Attributes:
        what: The format that was recognised, for messages.
        part: ``text/DOMAIN``, ``parallel/NAME``, ``dictionaries``, ``nli``, ``ner``, ``ud``,
            ``topics`` or ``vectors``.
        files: The files.
        read: Reads them; yields each entry's key, and its line or lines.
        split: The split, for dictionaries and tasks.
        licence: The licence, if the source declares it.
        own: The file of each language, where each has its own.
    """

    what: str
    part: str
    files: tuple[Path, ...]
    read: Callable[[Reading], Iterable[tuple[Key, str]]]
    split: str = ""
    licence: str = ""
    own: Mapping[Tag, Path] = field(default_factory=dict)


def together(jobs: Sequence[Job]) -> Job:
    """Return jobs of one kind as one that reads their files in this order."""
    first = jobs[0]

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for job in jobs:
            reading.job = job
            yield from job.read(reading)

    return replace(first, files=tuple(path for job in jobs for path in job.files), read=read)


def said(counts: Counter[str]) -> str:
    """Write what became of lines, e.g. ``"40 lines; left out 3: 2 empty, 1 faulty"``."""
    text = counted(counts["kept"], "line")
    for what in ("left out", "changed", "damaged"):
        of = {key.partition(": ")[2]: n for key, n in counts.items() if key.startswith(what)}
        if of:
            listed = ", ".join(f"{number:,} {reason}" for reason, number in of.items())
            text += f"; {what} {sum(of.values()):,}: {listed}"
    return text
