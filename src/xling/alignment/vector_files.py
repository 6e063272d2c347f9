"""Static word vectors from the files of word2vec and fastText."""

from pathlib import Path
from typing import IO

import numpy as np

from xling.alignment.fasttext_binary import MAGIC, read_fasttext
from xling.errors import XlingError
from xling.files import open_bytes
from xling.similarity.arrays import Matrix

_MAXIMUM = 200_000  # as many as PAPER section 5.1 takes


def read_vectors(path: Path | str, maximum: int = _MAXIMUM) -> tuple[list[str], Matrix]:
    """Read the first (most frequent) words of a file of word vectors.

    Formats, told apart by their content: text of word2vec and fastText (``.vec``: a first line
    ``words width``, then ``word number number ...``; that of GloVe, without the first line, too),
    the binary format of word2vec, and fastText's ``.bin`` (a word's vector is then the mean of
    its own and of its character n-grams', as fastText itself gives it). All but fastText's
    ``.bin`` may be gzipped. Repeated words keep their first vector.

    Args:
        path: The file.
        maximum: How many words to read at most.

    Returns:
        The words, and float32 array [words, d]; words whose vector is zero are left out, since they
        have no direction.

    Raises:
        XlingError: for a damaged file, or one of another format, by its line where it has lines.
    """
    path = Path(path)
    if maximum < 1:
        raise XlingError(f"maximum is {maximum}: read at least one word")
    if not path.is_file():
        raise XlingError(f"{path}: not found")
    with open_bytes(path) as file:
        start = file.read(4096)
    if start[:4] == MAGIC:
        words, matrix = read_fasttext(path, maximum)
    else:
        with open_bytes(path) as file:
            binary = _is_binary(start)
            words, matrix = (_read_binary if binary else _read_text)(file, path, maximum)
    if not words:
        raise XlingError(f"{path}: no word vectors here")
    return _usable(words, matrix, path)


def _is_binary(start: bytes) -> bool:
    """Whether a first line with two numbers is followed by anything but a word and numbers."""
    header, _, rest = start.partition(b"\n")
    if len(header.split()) != 2 or not all(field.isdigit() for field in header.split()):
        return False
    line, whole, _ = rest.partition(b"\n")
    width = int(header.split()[1])
    # A line longer than what was read may have been cut inside its last number.
    fields = line.split()[1:] if whole else line.split()[1:-1]
    try:
        numbers = [float(field) for field in fields[-width:]]
    except ValueError:
        return True
    return len(numbers) < width if whole else not numbers


def _read_text(file: IO[bytes], path: Path, maximum: int) -> tuple[list[str], Matrix]:
    words: list[str] = []
    rows: list[Matrix] = []
    width = 0
    for number, line in enumerate(file, 1):
        fields = line.rstrip().split(b" ")
        if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
            width = int(fields[1])
            continue
        width = width or len(fields) - 1
        try:
            # From the end, since a word may itself contain a space.
            row = np.array(fields[-width:], dtype=np.float32)
            word = b" ".join(fields[:-width]).decode("utf-8")
            if width < 1 or len(row) < width or not word or not np.isfinite(row).all():
                raise ValueError
        except ValueError:
            raise XlingError(
                f"{path}, line {number}: found {line[:60]!r}, expected a word and {width} finite "
                "numbers, separated by single spaces"
            ) from None
        words.append(word)
        rows.append(row)
        if len(words) == maximum:
            break
    return words, np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _read_binary(file: IO[bytes], path: Path, maximum: int) -> tuple[list[str], Matrix]:
    count, width = (int(field) for field in file.readline().split())
    count = min(count, maximum)
    matrix = np.empty((count, width), dtype=np.float32)
    words, rest = [], b""
    for row in range(count):
        while b" " not in rest:
            block = file.read(1 << 20)
            if not block:
                raise XlingError(f"{path}: ends after {row} of {count} words; copy it again")
            rest += block
        word, _, rest = rest.partition(b" ")
        if len(rest) < 4 * width:
            rest += file.read(max(4 * width, 1 << 20))
        vector, rest = rest[: 4 * width], rest[4 * width :]
        if len(vector) < 4 * width:
            raise XlingError(f"{path}: ends after {row} of {count} words; copy it again")
        # Some writers end each vector by a line end, and some do not.
        words.append(word.lstrip(b"\n").decode("utf-8", errors="replace"))
        matrix[row] = np.frombuffer(vector, dtype="<f4")
    return words, matrix


def _usable(words: list[str], matrix: Matrix, path: Path) -> tuple[list[str], Matrix]:
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise XlingError(f"{path}: the vector of word {row + 1} holds NaN or infinity")
    first = {word: row for row, word in reversed(list(enumerate(words)))}
    there = np.flatnonzero(matrix.any(axis=1)).tolist()
    kept = [row for row in there if first[words[row]] == row]
    return [words[row] for row in kept], matrix[kept]
