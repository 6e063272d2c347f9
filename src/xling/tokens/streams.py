"""A folder of token streams: their index, writing their files, reading windows of them."""

import hashlib
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import content_hash, read_json, write_json
from xling.names import Language

INDEX = "index.json"


class Shard(BaseModel):
    """One file of raw little-endian ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, StringConstraints(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")]
    tokens: int
    blake2b: str


class Stream(BaseModel):
    """The tokens of one part of a language's text, on one side of the split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Language
    part: str
    split: Literal["train", "dev"]
    lines: int
    characters: int
    words: int
    tokens: int
    """Every line's [SEP] included."""
    unknowns: int
    shards: tuple[Shard, ...]


class TokenIndex(BaseModel):
    """All streams of a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: int
    dtype: Literal["<u2", "<u4"]
    streams: tuple[Stream, ...]

    @classmethod
    def load(cls, folder: Path) -> "TokenIndex":
        """Read the index of a folder that `build_tokens` wrote.

        Raises:
            XlingError: It is missing or damaged.
        """
        path = folder / INDEX
        if not path.is_file():
            raise XlingError(
                f"{folder}: no token streams ({INDEX}: not found); expected what `xling tokens` "
                "wrote"
            )
        check_file(path)
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise XlingError(
                f"{path}: not an index of token streams ({field}: {first['msg']}); "
                f"delete {folder} and run `xling tokens` again"
            ) from None

    def save(self, folder: Path) -> None:
        """Write the index into ``folder``."""
        write_json(folder / INDEX, self.model_dump(mode="json"))


class ShardWriter:
    """Appends arrays of ids to ``NAME-00000.bin``, ``NAME-00001.bin`` and so on.

    A stream without tokens has no file.

    Args:
        folder: The folder of all streams.
        name: Common beginning of the files' paths below it, e.g. ``en/help.train``.
        shard_tokens: Tokens in each file but the last.
    """

    def __init__(self, folder: Path, name: str, shard_tokens: int) -> None:
        self._folder = folder
        self._name = name
        self._shard_tokens = shard_tokens
        self._shards: list[Shard] = []
        self._file: IO[bytes] | None = None
        self._written = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def append(self, ids: np.ndarray) -> None:
        """Write ids ``[N]`` at the end of the stream."""
        while len(ids):
            if self._file is None:
                self._open()
            room = self._shard_tokens - self._written
            self._write(ids[:room])
            ids = ids[room:]
            if self._written == self._shard_tokens:
                self._finish_shard()

    def close(self) -> tuple[Shard, ...]:
        """Finish the last file and describe all."""
        if self._file is not None:
            self._finish_shard()
        return tuple(self._shards)

    @property
    def _path(self) -> str:
        return f"{self._name}-{len(self._shards):05d}.bin"

    def _open(self) -> None:
        path = self._folder / self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "wb")  # noqa: SIM115 - closed in _finish_shard
        self._written = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def _write(self, ids: np.ndarray) -> None:
        assert self._file is not None
        raw = ids.tobytes()
        self._file.write(raw)
        self._digest.update(raw)
        self._written += len(ids)

    def _finish_shard(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        self._shards.append(
            Shard(file=self._path, tokens=self._written, blake2b=self._digest.hexdigest())
        )


class TokenStream:
    """The tokens of a language on one side of the split: all its parts, one after the other.

    Attributes:
        language: The language.
        split: ``"train"`` or ``"dev"``.
        tokens: Number of tokens, every line's [SEP] included.
        lines: Number of lines.
        words: Number of words.
        unknowns: Number of [UNK].
        vocabulary_size: Every id is below it.
    """

    def __init__(self, folder: Path, index: TokenIndex, language: str, split: str) -> None:
        self.language = language
        self.split = split
        self.vocabulary_size = index.vocabulary_size
        streams = _find(folder, index, language, split)
        self.tokens = sum(stream.tokens for stream in streams)
        self.lines = sum(stream.lines for stream in streams)
        self.words = sum(stream.words for stream in streams)
        self.unknowns = sum(stream.unknowns for stream in streams)
        self._folder = folder
        self._shards = [shard for stream in streams for shard in stream.shards]
        self._maps = [_map(folder / shard.file, shard, index.dtype) for shard in self._shards]
        # Where each part and shard begins and the last ends, as if all lay in one array.
        self._part_starts = _starts([stream.tokens for stream in streams])
        self._shard_starts = _starts([shard.tokens for shard in self._shards])

    @classmethod
    def open(cls, folder: Path, language: str, split: str) -> "TokenStream":
        """Open a language's stream in a folder that `build_tokens` wrote.

        Raises:
            XlingError: It is not there, or a file does not have the size that the index says.
        """
        return cls(folder, TokenIndex.load(folder), language, split)

    def windows(self, length: int, beyond: int = 0) -> int:
        """Return how many windows `rows` can give at any offset.

        Windows of ``length`` tokens lie end to end in each part of the text and never straddle
        two parts. Each part keeps room for the greatest offset, ``length - 1``, and for
        ``beyond``, the tokens to read past the end of every window.
        """
        return int(self._windows_before(length, beyond)[-1])

    def rows(
        self, indices: np.ndarray, length: int, offset: int = 0, beyond: int = 0
    ) -> np.ndarray:
        """Return windows of tokens, reading only the pages they lie on.

        Args:
            indices: Numbers of windows below ``windows(length, beyond)``, int ``[N]``, in any
                order.
            length: Tokens per window.
            offset: Tokens to move every window to the right, below ``length``.
            beyond: Tokens to read past the end of every window.

        Returns:
            int64 ``[N, length + beyond]``.
        """
        if not 0 <= offset < length:
            raise ValueError(f"offset {offset} is not in 0 .. length - 1 = {length - 1}")
        indices = np.asarray(indices, dtype=np.int64)
        before = self._windows_before(length, beyond)
        if len(indices) and not (indices.min() >= 0 and indices.max() < before[-1]):
            raise IndexError(f"windows {indices.min()} .. {indices.max()} of {before[-1]}")
        part = np.searchsorted(before, indices, side="right") - 1
        first = self._part_starts[part] + (indices - before[part]) * length + offset
        return self._gather(first, length + beyond)

    def head(self, length: int) -> np.ndarray | None:
        """Return the first ``length`` tokens of the first part that has so many; None if none has.

        Returns:
            int64 ``[1, length]``, even if there is no window, as windows keep room to move.
        """
        long = np.flatnonzero(np.diff(self._part_starts) >= length)
        return self._gather(self._part_starts[long[:1]], length) if len(long) else None

    def verify(self) -> None:
        """Read every file and compare it with the hash in the index.

        Raises:
            XlingError: A file was altered.
        """
        for shard in self._shards:
            path = self._folder / shard.file
            if content_hash(path) != shard.blake2b:
                raise XlingError(
                    f"{path}: was altered since it was written; delete {self._folder} and run "
                    "`xling tokens` again"
                )

    def _windows_before(self, length: int, beyond: int) -> np.ndarray:
        """Return the windows before each part, and after the last, int64 ``[parts + 1]``."""
        # Window i at the greatest offset ends at (i + 2) * length - 1 tokens.
        room = np.diff(self._part_starts) - beyond
        return _starts(np.maximum(0, (room + 1) // length - 1))

    def _gather(self, first: np.ndarray, length: int) -> np.ndarray:
        """Copy the tokens from each position ``first`` on, int64 ``[N, length]``."""
        rows = np.empty((len(first), length), dtype=np.int64)
        shard = np.searchsorted(self._shard_starts, first, side="right") - 1
        whole = first + length <= self._shard_starts[shard + 1]
        for number in np.unique(shard[whole]):
            chosen = np.flatnonzero(whole & (shard == number))
            windows = sliding_window_view(self._maps[number], length)
            rows[chosen] = windows[first[chosen] - self._shard_starts[number]]
        cut = np.flatnonzero(~whole)
        if len(cut):
            rows[cut] = self._gather_tokens(first[cut, None] + np.arange(length))
        return rows

    def _gather_tokens(self, positions: np.ndarray) -> np.ndarray:
        """Copy single tokens, for the few windows that lie across shards."""
        tokens = np.empty(positions.shape, dtype=np.int64)
        shard = np.searchsorted(self._shard_starts, positions, side="right") - 1
        for number in np.unique(shard):
            chosen = shard == number
            tokens[chosen] = self._maps[number][positions[chosen] - self._shard_starts[number]]
        return tokens


def _starts(lengths: "list[int] | np.ndarray") -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)


def _find(folder: Path, index: TokenIndex, language: str, split: str) -> list[Stream]:
    found = [
        stream for stream in index.streams if (stream.language, stream.split) == (language, split)
    ]
    if not found:
        languages = ", ".join(sorted({stream.language for stream in index.streams}))
        raise XlingError(
            f"{folder}: no {split} tokens of {language}; it has {languages}, each train and dev"
        )
    return found


def _map(path: Path, shard: Shard, dtype: str) -> np.ndarray:
    expected = shard.tokens * np.dtype(dtype).itemsize
    if not path.is_file():
        raise XlingError(
            f"{path}: not found; delete {path.parent.parent} and run `xling tokens` again"
        )
    size = path.stat().st_size
    if size != expected:
        raise XlingError(
            f"{path}: {size} bytes where the index says {expected}; it was truncated or altered: "
            f"delete {path.parent.parent} and run `xling tokens` again"
        )
    return np.memmap(path, dtype=dtype, mode="r")
