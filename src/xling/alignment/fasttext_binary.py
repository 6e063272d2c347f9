"""Word vectors from fastText's own ``.bin`` files, including their subwords.

Layout (little-endian, version 12): magic and version; twelve int32 settings and a double; the
dictionary (an entry is a zero-terminated word, an int64 count and an int8 type); a byte that says
whether the matrix is quantised; its int64 numbers of rows and columns; its float32 rows. First come
the rows of words, then ``bucket`` rows of hashed character n-grams (Bojanowski et al. 2017).
"""

import struct
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix

MAGIC = struct.pack("<i", 793712314)
_VERSION = 12
_BLOCK = 4096  # words whose n-grams are looked up together
_END_OF_LINE = b"</s>"


class _Header(NamedTuple):
    width: int
    buckets: int
    shortest: int
    longest: int
    words: list[bytes]
    rows: int
    matrix_at: int


def read_fasttext(path: Path, maximum: int) -> tuple[list[bytes], Matrix]:
    """Read the first words of a fastText model and their vectors.

    A word's vector is the mean of its own row and those of its n-grams. Only the rows needed are
    read into memory.

    Args:
        path: A ``.bin`` file, not compressed.
        maximum: Maximum number of words to read.

    Returns:
        The words, as their bytes are stored (n-grams are hashed from these bytes), and float32
        array [words, d].

    Raises:
        XlingError: for a damaged file, a different version, a quantised model or one with pruned
            n-grams.
    """
    try:
        with open(path, "rb") as file:
            header = _read_header(file, path)
        table = np.memmap(
            path, dtype="<f4", mode="r", offset=header.matrix_at, shape=(header.rows, header.width)
        )
    except (struct.error, ValueError, OverflowError, OSError) as error:
        raise XlingError(
            f"{path}: damaged or not a fastText model ({error}); copy it again"
        ) from None
    words = header.words[:maximum]
    matrix = np.empty((len(words), header.width), dtype=np.float32)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        grams = [_ngrams(word, header.shortest, header.longest) for word in block]
        counts = np.array([len(found) for found in grams])
        hashed = _hashes([gram for found in grams for gram in found])
        # The sums start from the words' own rows; then their n-grams are added.
        rows = hashed.astype(np.int64) % max(header.buckets, 1) + len(header.words)
        sums = table[start : start + len(block)].astype(np.float64)
        np.add.at(sums, np.repeat(np.arange(len(block)), counts), table[rows])
        matrix[start : start + len(block)] = sums / (1 + counts[:, None])
    return words, matrix


def _read_header(file: IO[bytes], path: Path) -> _Header:
    def take(form: str) -> tuple[int, ...]:
        return struct.unpack(form, file.read(struct.calcsize(form)))

    _, version = take("<2i")
    if version != _VERSION:
        raise XlingError(f"{path}: fastText format {version}; expected {_VERSION}")
    settings = take("<12i")
    take("<d")
    size, words, _ = take("<3i")
    _, pruned = take("<2q")
    if pruned > 0:
        raise XlingError(f"{path}: a model with pruned n-grams; use its text vectors (.vec)")
    entries = []
    for _ in range(size):
        entries.append(_terminated(file))
        take("<qb")
    (quantised,) = take("<b")
    if quantised:
        raise XlingError(f"{path}: a quantised model (.ftz); use the full one, or text vectors")
    rows, width = take("<2q")
    buckets, shortest, longest = settings[8:11]
    expected = words + (buckets if longest > 0 else 0)
    if not 0 < words <= size or buckets < 0:
        raise ValueError(f"{words} words of {size} entries, {buckets} buckets")
    if width != settings[0] or width < 1 or rows < expected:
        raise XlingError(
            f"{path}: a matrix of {rows} x {width}, expected {expected} x {settings[0]}"
        )
    return _Header(width, buckets, shortest, longest, entries[:words], rows, file.tell())


def _terminated(file: IO[bytes]) -> bytes:
    word = bytearray()
    while (byte := file.read(1)) != b"\0":
        if not byte:
            raise ValueError("ends inside the dictionary")
        word += byte
    return bytes(word)


def _ngrams(word: bytes, shortest: int, longest: int) -> list[bytes]:
    """Character n-grams of ``<word>``, except single boundary marks.

    A character begins at every byte that does not continue one, whether the word is UTF-8 or not.
    """
    if word == _END_OF_LINE or longest < 1:
        return []
    marked = b"<" + word + b">"
    begins = [index for index, byte in enumerate(marked) if byte & 0xC0 != 0x80]
    last = len(begins) - 1
    ends = [*begins[1:], len(marked)]
    return [
        marked[begins[first] : ends[first + length - 1]]
        for first in range(last + 1)
        for length in range(max(shortest, 1), min(longest, last + 1 - first) + 1)
        if length > 1 or 0 < first < last
    ]


def _hashes(grams: list[bytes]) -> NDArray[np.uint32]:
    """FNV-1a of many strings at once, with signed bytes as in fastText."""
    lengths = np.array([len(gram) for gram in grams], dtype=np.int64)
    hashed = np.full(len(grams), 2166136261, dtype=np.uint32)
    if not len(grams):
        return hashed
    longest = int(lengths.max())
    padded = np.frombuffer(b"".join(gram.ljust(longest, b"\0") for gram in grams), dtype=np.int8)
    for index, column in enumerate(padded.reshape(len(grams), longest).T):
        mixed = (hashed ^ column.astype(np.int32).view(np.uint32)) * np.uint32(16777619)
        hashed = np.where(index < lengths, mixed, hashed)
    return hashed
