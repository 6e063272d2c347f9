r"""Lines of a UTF-8 file, plain or gzipped, read in blocks of bounded size.

Only ``\n`` and ``\r\n`` end a line: Python's ``str.splitlines`` would also cut at U+0085, U+2028
and other characters that occur inside real sentences, and so shift one side of a parallel corpus.

Every reader of a data file takes a ``report`` function for the problems it finds. Readers that feed
training and scoring pass `fail`, so the first problem ends them; ``xling data check`` passes a
collector and continues.
"""

import gzip
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from xling.errors import XlingError
from xling.files import open_bytes, reading_fault


class Problem(NamedTuple):
    """One finding: where it is, and what was found and expected there."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.path}, line {self.line}" if self.line is not None else str(self.path)
        return f"{place}: {self.message}"


Report = Callable[[Problem], None]


def fail(problem: Problem) -> NoReturn:
    """Raise the problem as the `XlingError` that ends the command."""
    raise XlingError(str(problem))


def shown(text: str, limit: int = 60) -> str:
    """Quote ``text`` for a message, with unprintable characters escaped and a long tail cut."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def counted(number: int, noun: str) -> str:
    """Write a number with its noun in the right form, e.g. ``"1 line"``, ``"2 lines"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# Scripts that write no spaces between words, as the inside of a regular expression's [...].
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LONGEST_LINE = 16 << 20  # bytes: a few megabytes of gzip can unpack to gigabytes in one line
_BLOCK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
# What Windows-1252 has where Latin-1 has control characters: dashes, quotes, the euro.
_WINDOWS = range(0x80, 0xA0)
Opener = Callable[[Path], IO[bytes]]
"""Opens a file for reading its unpacked bytes; ``tell`` counts the bytes on disk."""


@dataclass(slots=True)
class Block:
    r"""Consecutive whole lines of a file.

    Attributes:
        first: Number of the first line, counted from 1.
        text: The lines in NFC, joined by ``\n``, without the last line's end.
        changed: How many lines were not in NFC as stored.
        position: Bytes of the file on disk (compressed if gzipped) read so far.
    """

    first: int
    text: str
    changed: int
    position: int

    def lines(self) -> list[str]:
        """Return the lines without their ends."""
        return self.text.split("\n")


def read_lines(path: Path, report: Report = fail, opened: Opener = open_bytes) -> Iterator[str]:
    r"""Yield the lines of a plain or ``.gz`` file in NFC, without their ends.

    ``\n`` and ``\r\n`` end a line, nothing else does; a byte order mark is dropped; a last line
    without an end counts.

    Raises:
        XlingError: Bytes that are not UTF-8 (file, line, byte and column), a line longer than
            `LONGEST_LINE`, a damaged gzip file, or a file that is not regular.
    """
    for block in read_blocks(path, report, opened):
        yield from block.lines()


def read_blocks(path: Path, report: Report = fail, opened: Opener = open_bytes) -> Iterator[Block]:
    """Yield the lines of a file as blocks of about a megabyte, under the rules of `read_lines`.

    If ``report`` returns, bytes that are not UTF-8 become U+FFFD, so that line numbers stay right.
    The readable part of a damaged gzip file is yielded, and so is everything before a line that is
    too long.

    Args:
        path: The file.
        report: Called with each problem.
        opened: Opens it; by default, its ending decides how.
    """
    first = 1
    for raw, position in _whole_lines(path, report, opened):
        text = _decode(raw, first, path, report)
        normal = unicodedata.normalize("NFC", text)
        changed = 0
        if normal != text:
            pairs = zip(text.split("\n"), normal.split("\n"), strict=True)
            changed = sum(before != after for before, after in pairs)
        yield Block(first, normal, changed, position)
        first += normal.count("\n") + 1


def _whole_lines(path: Path, report: Report, opened: Opener) -> Iterator[tuple[bytes, int]]:
    r"""Yield runs of whole lines with ``\n`` between them, and the position on disk."""
    held: list[bytes] = []
    size = position = 0
    try:
        for chunk, position in _chunks(path, opened):
            held.append(chunk)
            size += len(chunk)
            # Joining only where a line ends keeps the time linear even for one endless line.
            if size >= _BLOCK_BYTES and b"\n" in chunk:
                lines, end, tail = b"".join(held).rpartition(b"\n")
                yield _between(lines + end), position
                held, size = [tail], len(tail)
    except (OSError, EOFError, zlib.error, _LineTooLong) as error:
        if isinstance(error, _LineTooLong):
            report(Problem(path, error.number, str(error)))
        else:
            report(Problem(path, None, reading_fault(error)))
        lines, end, _ = b"".join(held).rpartition(b"\n")
        held = [lines + end]
    remaining = b"".join(held)
    if remaining:
        yield _between(remaining), position


def _between(lines: bytes) -> bytes:
    return lines.replace(b"\r\n", b"\n").removesuffix(b"\n")


class _LineTooLong(Exception):  # noqa: N818 - a fault of the file, not of the program
    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def _chunks(path: Path, opened: Opener) -> Iterator[tuple[bytes, int]]:
    """Yield pieces of the uncompressed bytes, without a byte order mark, and the position.

    Raises:
        _LineTooLong: before the piece that makes a line longer than `LONGEST_LINE`.
    """
    number, begun = 1, 0  # the line being read, and how many of its bytes were read
    with opened(path) as stream:
        file = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
        # read1 returns what was decompressed before the place where a file breaks off.
        read = getattr(stream, "read1", stream.read)
        first = read(_BLOCK_BYTES)
        chunk = first.removeprefix(_BOM) or read(_BLOCK_BYTES)
        while chunk:
            end = chunk.find(b"\n")
            if begun + (len(chunk) if end < 0 else end) > LONGEST_LINE:
                raise _LineTooLong(number, _too_long(chunk))
            yield chunk, file.tell()
            number += chunk.count(b"\n")
            last = chunk.rfind(b"\n")
            begun = begun + len(chunk) if last < 0 else len(chunk) - last - 1
            chunk = read(_BLOCK_BYTES)


def _too_long(chunk: bytes) -> str:
    message = f"a line of more than {LONGEST_LINE >> 20} MiB, expected one sentence or paragraph"
    if returns := lone_returns(chunk.count(b"\r")):
        return f"{message}; found {returns}"
    return f"{message}; the rest is not read. Is this a text file?"


def lone_returns(count: int) -> str:
    """Describe carriage returns that `read_lines` left inside lines; empty if there are none."""
    if not count:
        return ""
    found = f"{counted(count, 'carriage return')} (0x0d) without a line feed"
    return f"{found}, the line ends of old Macs; convert the file: tr '\\r' '\\n'"


def _decode(raw: bytes, first: int, path: Path, report: Report) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        lines = raw.split(b"\n")
        return "\n".join(
            _decode_line(line, number, path, report) for number, line in enumerate(lines, first)
        )


def _decode_line(raw: bytes, number: int, path: Path, report: Report) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
        report(Problem(path, number, f"not valid UTF-8 ({place}); {_advice(raw, number, path)}"))
        return raw.decode("utf-8", errors="replace")


def _advice(raw: bytes, number: int, path: Path) -> str:
    if number == 1 and raw.startswith(_UTF16_BOMS):
        return "the file seems to be UTF-16, convert it: iconv -f UTF-16 -t UTF-8"
    if number == 1 and raw.startswith(_GZIP):
        return f"these are gzip data: name the file {path.name}.gz"
    if path.suffix == ".gz":
        return "test whether the file is whole (gzip -t), else convert it with iconv -t UTF-8"
    if any(byte in _WINDOWS for byte in raw):
        return "if it is Windows-1252, convert it: iconv -f CP1252 -t UTF-8"
    return "if it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8"
