"""Static word vectors from the files of word2vec, GloVe and fastText.

The format of a *file* is determined once. A line or a vector that does not fit is then an error
that names its line, never a reason to try another format. Single *words* are handled differently:
published files have some that are not text, repeated or empty, and these do not spoil the others.
They are counted, and one warning says how many.
"""

import codecs
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from xling.alignment.fasttext_binary import MAGIC, read_fasttext
from xling.data.lines import LONGEST_LINE, counted, lone_returns
from xling.errors import XlingError
from xling.files import readable_bytes
from xling.measures.arrays import Matrix

_MAXIMUM = 200_000  # as many as Conneau et al. 2020, section 5.1 takes
_WIDEST = 1 << 16  # numbers in a vector
_LONGEST_WORD = 1 << 16  # bytes
_LARGEST = 1e15  # largest number in a binary file; bytes read at a wrong place soon exceed it
_START = 1 << 16  # bytes from which the format is recognised
_SAMPLE = 20  # lines from which the width is recognised
_BOM = b"\xef\xbb\xbf"
# First bytes of files that are not word vectors, and what to do about them.
_OTHERS = {
    b"\x1f\x8b": "gzip data, but the name does not end in .gz; rename it",
    b"PK\x03\x04": "a zip archive; unpack it first (unzip)",
    b"BZh": "bzip2 data; unpack it first (bunzip2)",
    b"\xfd7zXZ": "xz data; unpack it first (unxz)",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; fetch it: git lfs pull",
    b"\xff\xfe": "UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8",
}
_HEADER = re.compile(rb"\s*([0-9]{1,18})[ \t]+([0-9]{1,18})\s*")
_NUMBER = re.compile(
    rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf(inity)?)", re.I
)
_DECIMAL_COMMA = re.compile(rb"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_OF_NUMBERS = frozenset(b"0123456789+-.,eE \t")


class _Header(NamedTuple):
    words: int
    width: int


class _Found(NamedTuple):
    """Words as stored, one row each, and a further remark for the warning."""

    words: list[bytes]
    matrix: Matrix
    remark: str = ""


def read_vectors(path: Path | str, maximum: int = _MAXIMUM) -> tuple[list[str], Matrix]:
    """Read the first (most frequent) words of a file of word vectors.

    The format is recognised from the content:

    - the text format of word2vec and fastText (``.vec``): a first line ``words width``, then
      ``word number number ...``; also that of GloVe, without the first line. Spaces or tabs
      separate the fields, and a word may itself contain spaces;
    - the binary format of word2vec;
    - fastText's ``.bin``: a word's vector is the mean of its own row and those of its character
      n-grams, as in fastText itself. This is the only format that may not be gzipped.

    Words are composed to NFC, as text and dictionaries are; bytes that are not UTF-8 become
    U+FFFD. Left out are empty words, words whose vector is zero or not finite (they have no
    direction), and words that repeat an earlier one. A warning counts them. In a binary file
    numbers that are not finite are a sign of damage and an error.

    Args:
        path: The file.
        maximum: Maximum number of words to read.

    Returns:
        The words, all different, and float32 array [words, d].

    Raises:
        XlingError: for a damaged file or an unknown format; names the line if the file has lines.
    """
    path = Path(path)
    if maximum < 1:
        raise XlingError(f"maximum is {maximum}: read at least one word")
    with readable_bytes(path) as file:
        start = file.read(_START)
        if start[:4] == MAGIC:
            if path.suffix == ".gz":
                raise XlingError(
                    f"{path}: a gzipped fastText model; unpack it first: gunzip {path}"
                )
            found = _Found(*read_fasttext(path, maximum))
        elif other := next((what for mark, what in _OTHERS.items() if start.startswith(mark)), ""):
            raise XlingError(f"{path}: {other}")
        else:
            file.seek(0)
            first = file.readline(_START)
            header = _header(first.removeprefix(_BOM), path)
            if header and _is_binary(start[len(first) :], header.width):
                found = _read_binary(file, path, header, maximum)
            else:
                file.seek(0)
                found = _read_text(file, path, header, maximum)
    return _usable(found, path)


def _header(line: bytes, path: Path) -> _Header | None:
    """Read a first line of two whole numbers; None if the line is anything else."""
    match = _HEADER.fullmatch(line)
    if match is None:
        return None
    header = _Header(int(match[1]), int(match[2]))
    if header.words and not 1 <= header.width <= _WIDEST:
        raise XlingError(
            f"{path}, line 1: found a width of {header.width:,}, expected 1 to {_WIDEST:,} numbers "
            "a word; is this a file of word vectors?"
        )
    return header


def _is_binary(rest: bytes, width: int) -> bool:
    """Whether what follows a header is a word and the bytes of floats, rather than text.

    Numbers in text are digits and signs, which are rare as bytes of floats.
    """
    filled = rest.lstrip(b"\r\n")
    fields = filled.partition(b"\n")[0].split()
    if len(fields) > 1 and _NUMBER.fullmatch(fields[-1]):
        return False
    _, space, after = filled.partition(b" ")
    span = after[: 4 * width]
    if not space or not span or sum(byte in _OF_NUMBERS for byte in span) > len(span) / 2:
        return False
    if any(byte < 0x20 and byte not in b"\t\r\n" for byte in span):
        return True
    try:
        # Incrementally, since the span may end inside a letter.
        codecs.getincrementaldecoder("utf-8")().decode(span)
    except UnicodeDecodeError:
        return True
    return False


def _read_text(file: IO[bytes], path: Path, header: _Header | None, maximum: int) -> _Found:
    lines = _filled_lines(file, path)
    if header:
        next(lines, None)
    sample = list(islice(lines, _SAMPLE))
    if not sample:
        return _Found([], np.empty((0, 0), dtype=np.float32))
    width = _width(sample, path, header)
    words: list[bytes] = []
    rows: list[Matrix] = []
    whole = True
    for number, line in chain(sample, lines):
        word, row = _entry(line, width, number, path)
        whole = line.endswith(b"\n")
        words.append(word)
        rows.append(row)
        if len(words) == maximum:
            break
    remark = ""
    if header and len(words) < maximum and len(words) != header.words:
        remark = f"{counted(len(words), 'word')}, where the first line says {header.words:,}"
        if len(words) < header.words and not whole:
            raise XlingError(
                f"{path}, line {number}: the file ends in the middle of a line after {remark}; "
                "copy it again"
            )
        if len(words) < header.words:
            remark += " (if it was cut off, copy it again)"
    return _Found(words, np.stack(rows), remark)


def _filled_lines(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers; empty lines are allowed only at the end."""
    empty = 0
    number = 1
    line = file.readline(LONGEST_LINE + 1).removeprefix(_BOM)
    while line:
        if len(line) > LONGEST_LINE:
            raise XlingError(
                f"{path}, line {number}: longer than {LONGEST_LINE >> 20} MiB, expected a word and "
                f"its numbers; "
                + (lone_returns(line.count(b"\r")) or "is this a file of word vectors?")
            )
        if not line.strip():
            empty = empty or number
        elif empty:
            raise XlingError(f"{path}, line {empty}: empty, expected a word and its numbers")
        else:
            yield number, line
        number += 1
        line = file.readline(LONGEST_LINE + 1)


def _width(sample: list[tuple[int, bytes]], path: Path, header: _Header | None) -> int:
    """Return how many numbers follow each word, from the header or else from the first lines."""
    numbers = [_trailing_numbers(line) for _, line in sample]
    place = f"{path}, line {sample[0][0]}"
    if header is None:
        # The majority of lines decides: a word may itself end in numbers, as in "Windows 95", and
        # a line may be cut off, above all the last one.
        whole = numbers[:-1] if len(numbers) > 1 and not sample[-1][1].endswith(b"\n") else numbers
        width = min(set(whole), key=lambda number: (-whole.count(number), number))
        if width < 1:
            number, line = sample[numbers.index(width)]
            raise XlingError(f"{path}, line {number}: {_misfit(line, max(numbers))}")
        if width == 1:
            raise XlingError(
                f"{place}: found {sample[0][1][:60]!r} and 1 number per word in most lines, "
                "expected several; is this a list of counts?"
            )
        if width > _WIDEST:
            raise XlingError(f"{place}: found {width:,} numbers, expected at most {_WIDEST:,}")
        return width
    # A word may itself end in a number, but not every word does.
    most = min(numbers)
    if most > header.width:
        raise XlingError(
            f"{place}: found {most} numbers after a word, expected {header.width} as the first "
            "line says; correct it, or take the file that belongs to it"
        )
    return header.width


def _trailing_numbers(line: bytes) -> int:
    """Count the numbers at the end of a line, without the first field, which is the word."""
    fields = line.split()
    count = 0
    while count < len(fields) and _NUMBER.fullmatch(fields[-1 - count]):
        count += 1
    # If the word is white space, all fields are numbers, and the line begins with white space.
    return count if line[:1].isspace() else min(count, len(fields) - 1)


def _entry(line: bytes, width: int, number: int, path: Path) -> tuple[bytes, Matrix]:
    """Split a line into its word, which may itself contain spaces, and its numbers."""
    stripped = line.rstrip()
    fields = stripped.rsplit(None, width)
    word, numbers = b"", fields
    if len(fields) > width:
        word, numbers = fields[0], fields[1:]
    elif line[:1].isspace() and len(fields) == width:
        word = stripped[: stripped.index(fields[0])][:-1]
    try:
        row = np.array(numbers, dtype=np.float32)
    except ValueError:
        row = np.empty(0, dtype=np.float32)
    if len(row) < width or (not word and not line[:1].isspace()):
        raise XlingError(f"{path}, line {number}: {_misfit(line, width)}")
    if b"\r" in word and any(_ends_in_number(piece) for piece in word.split(b"\r")):
        returns = lone_returns(stripped.count(b"\r"))
        raise XlingError(f"{path}, line {number}: found {returns}")
    return word, row


def _ends_in_number(text: bytes) -> bool:
    fields = text.split()
    return bool(fields) and bool(_NUMBER.fullmatch(fields[-1]))


def _misfit(line: bytes, width: int) -> str:
    """Say why a line is not a word followed by ``width`` numbers."""
    numbers = f"{width:,} finite numbers" if width > 1 else "its finite numbers"
    expected = f"expected a word and {numbers}, separated by spaces or tabs"
    found = f"found {line[:60]!r}"
    fields = line.split()
    if sum(bool(_DECIMAL_COMMA.fullmatch(field)) for field in fields[1:]) * 2 > len(fields) - 1 > 0:
        return f"{found}, with decimal commas, {expected}; write decimal points"
    there = min(_trailing_numbers(line), width)
    if there < width and there == len(fields) - 1:
        return f"{found}, which has {counted(there, 'number')}, {expected}"
    return f"{found}, {expected}"


def _read_binary(file: IO[bytes], path: Path, header: _Header, maximum: int) -> _Found:
    """Read words and their floats; memory is allocated only for what the file really holds."""
    count, size = min(header.words, maximum), 4 * header.width
    words: list[bytes] = []
    vectors = bytearray()
    rest = b""
    for row in range(count):
        while b" " not in rest and len(rest) <= _LONGEST_WORD:
            block = file.read(1 << 16)
            if not block:
                raise XlingError(f"{path}: ends after {row} of {header.words} words; copy it again")
            rest += block
        # Some programs write a line end after each vector, and some do not.
        word, space, rest = rest.lstrip(b"\n").partition(b" ")
        if not word and rest.startswith(b" "):
            word, rest = b" ", rest[1:]  # the word is a space
        if not space:
            raise XlingError(
                f"{path}: found no space after word {row + 1} within {_LONGEST_WORD:,} bytes, "
                "expected the binary format of word2vec"
            )
        if len(rest) < size:
            rest += file.read(max(size, 1 << 16))
        vector, rest = rest[:size], rest[size:]
        if len(vector) < size:
            raise XlingError(f"{path}: ends after {row} of {header.words} words; copy it again")
        words.append(word)
        vectors += vector
    matrix = np.frombuffer(vectors, dtype="<f4").reshape(len(words), header.width)
    if count == header.words and (rest + file.read(1)).strip():
        raise XlingError(
            f"{path}: continues after the {header.words} words of {header.width} numbers that its "
            "first line says; expected the binary format of word2vec"
        )
    sane = (np.abs(matrix) <= _LARGEST).all(axis=1)
    if not sane.all():
        row = int(np.argmin(sane))
        largest = np.abs(matrix[row]).max()
        found = f"{largest:.0e}" if np.isfinite(largest) else "NaN or infinity"
        raise XlingError(
            f"{path}: the vector of word {row + 1} holds {found}; the file is damaged, or a word "
            "up to there has a space in it, which the binary format of word2vec cannot hold: take "
            "its text format"
        )
    return _Found(words, matrix.astype(np.float32, copy=False))


def _usable(found: _Found, path: Path) -> tuple[list[str], Matrix]:
    """Return the words that can be looked up and compared, and warn about the others."""
    counts: Counter[str] = Counter()
    kept: dict[str, int] = {}
    finite = np.asarray(np.isfinite(found.matrix).all(axis=1))
    directed = np.asarray(found.matrix.any(axis=1))
    for row, stored in enumerate(found.words):
        word = unicodedata.normalize("NFC", stored.decode("utf-8", errors="replace"))
        counts["not UTF-8, read with U+FFFD"] += not _is_utf8(stored)
        if not word:
            counts["empty, left out"] += 1
        elif not finite[row]:
            counts["with NaN or infinity, left out"] += 1
        elif not directed[row]:
            counts["without a direction (zeros), left out"] += 1
        elif kept.setdefault(word, row) != row:
            counts["repeated, left out"] += 1
    if not kept:
        raise XlingError(f"{path}: no word vectors in this file")
    remarks = [f"{counted(n, 'word')} {what}" for what, n in counts.items() if n]
    remarks += [found.remark] if found.remark else []
    if remarks:
        warnings.warn(f"{path}: {'; '.join(remarks)}", stacklevel=3)
    return list(kept), found.matrix[list(kept.values())]


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
