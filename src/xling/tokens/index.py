"""A folder of token streams: their content, their files, and how they are written."""

import hashlib
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import read_json, write_json
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
            place = ".".join(map(str, first["loc"]))
            raise XlingError(
                f"{path}: not an index of token streams ({place}: {first['msg']}); "
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
