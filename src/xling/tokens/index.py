"""The index of a folder of token streams: what each stream holds, and in which files."""

from pathlib import Path
from typing import Annotated, Literal

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
