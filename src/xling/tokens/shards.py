"""Writing a stream as files of a fixed greatest size."""

import hashlib
from pathlib import Path
from typing import IO

import numpy as np

from xling.tokens.index import Shard


class ShardWriter:
    """Appends arrays of ids to ``NAME-00000.bin``, ``NAME-00001.bin`` and so on.

    A stream without tokens has no file.

    Args:
        folder: The folder of all streams.
        name: Path below it of the files' common beginning, e.g. ``en/help.train``.
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
