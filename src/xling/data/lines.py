r"""Lines of a UTF-8 file, plain or gzipped, read in blocks of bounded size.

Only ``\n`` and ``\r\n`` end a line: Python's ``str.splitlines`` would also cut at U+0085, U+2028
and other characters that occur inside real sentences, and so shift one side of a parallel corpus.
"""

import gzip
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xling.data.problem import Problem, Report, fail
from xling.files import open_bytes

_BLOCK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


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


def read_lines(path: Path, report: Report = fail) -> Iterator[str]:
    r"""Yield the lines of a plain or ``.gz`` file in NFC, without their ends.

    ``\n`` and ``\r\n`` end a line, nothing else does; a byte order mark is dropped; a last line
    without an end counts.

    Raises:
        XlingError: Bytes that are not UTF-8 (file, line, byte and column), or a damaged gzip file.
    """
    for block in read_blocks(path, report):
        yield from block.lines()


def read_blocks(path: Path, report: Report = fail) -> Iterator[Block]:
    """Yield the lines of a file as blocks of about a megabyte, under the rules of `read_lines`.

    Where ``report`` returns, bytes that are not UTF-8 become U+FFFD, so that line numbers hold,
    and what can be read of a damaged gzip file is yielded.
    """
    first = 1
    for raw, position in _whole_lines(path, report):
        text = _decode(raw, first, path, report)
        normal = unicodedata.normalize("NFC", text)
        changed = 0
        if normal != text:
            pairs = zip(text.split("\n"), normal.split("\n"), strict=True)
            changed = sum(before != after for before, after in pairs)
        yield Block(first, normal, changed, position)
        first += normal.count("\n") + 1


def _whole_lines(path: Path, report: Report) -> Iterator[tuple[bytes, int]]:
    """Yield runs of whole lines, without the last one's end, and the position on disk."""
    rest: list[bytes] = []
    for chunk, position in _chunks(path, report):
        lines, end, tail = chunk.rpartition(b"\n")
        if end:
            yield (b"".join([*rest, lines]) + b"\n").replace(b"\r\n", b"\n")[:-1], position
            rest = []
        if tail:
            rest.append(tail)
    if rest:
        yield b"".join(rest).replace(b"\r\n", b"\n"), position


def _chunks(path: Path, report: Report) -> Iterator[tuple[bytes, int]]:
    """Yield pieces of the uncompressed bytes, without a byte order mark."""
    try:
        with open_bytes(path) as stream:
            file = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
            # read1 hands over what was decompressed before the place where a file breaks off.
            read = getattr(stream, "read1", stream.read)
            start = read(_BLOCK_BYTES)
            chunk = start.removeprefix(_BOM)
            while chunk or start:
                yield chunk, file.tell()
                start = chunk = read(_BLOCK_BYTES)
    except EOFError:
        report(Problem(path, None, "the gzip data break off before their end; copy the file again"))
    except (gzip.BadGzipFile, zlib.error) as error:
        expected = "expected gzip data, as the name ends in .gz; rename it or copy it again"
        report(Problem(path, None, f"cannot be decompressed ({error}); {expected}"))
    except FileNotFoundError:
        report(Problem(path, None, "not found"))
    except OSError as error:
        report(Problem(path, None, f"cannot be read: {error.strerror or error}"))


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
        utf16 = number == 1 and raw.startswith(_UTF16_BOMS)
        source = "UTF-16" if utf16 else "LATIN1"
        guess = "the file seems to be UTF-16" if utf16 else "if it is Latin-1"
        place = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
        advice = f"{guess}, convert it: iconv -f {source} -t UTF-8"
        report(Problem(path, number, f"not valid UTF-8 ({place}); {advice}"))
        return raw.decode("utf-8", errors="replace")
