"""Which text a language is learnt from: domains, or halves of domains.

Corpora that are translations of each other become non-parallel when one language takes the
first half of each text and the other the second.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.data.layout import DataFolder
from xling.data.lines import read_blocks
from xling.errors import XlingError

HALVES = ("first-half", "second-half")


class TextPart(BaseModel):
    """A domain of a language's text, or one half of it by line count.

    A string stands for one wherever it is expected: ``"help"`` or ``"help:first-half"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(min_length=1, description="Folder under text/.")
    part: Literal["all", "first-half", "second-half"] = Field(
        "all", description="The whole text, or its first or second half by line count."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        domain, separator, part = value.partition(":")
        if separator and part not in HALVES:
            raise ValueError(f"{value!r}: expected DOMAIN or DOMAIN:{' or DOMAIN:'.join(HALVES)}")
        return {"domain": domain, "part": part or "all"}

    @property
    def name(self) -> str:
        """The part as a piece of a file name: ``help`` or ``help.first-half``."""
        return self.domain if self.part == "all" else f"{self.domain}.{self.part}"

    def __str__(self) -> str:
        return self.domain if self.part == "all" else f"{self.domain}:{self.part}"


TextSelection = Mapping[str, Sequence[TextPart | str]]
"""For each language, the parts of its text, in order."""


def select(data: DataFolder, text: TextSelection) -> dict[str, dict[TextPart, Path]]:
    """Find the file of every part that was asked for.

    Returns:
        For each language, in order, its parts and their files.

    Raises:
        XlingError: No language, a language without parts, a part twice, a half that cannot be
            read as one, or text that the data folder does not have.
    """
    if not text:
        raise XlingError(f"{data.root}: no language selected; the data has {_listed(data)}")
    return {language: _files(data, language, parts) for language, parts in text.items()}


def _files(
    data: DataFolder, language: str, parts: Sequence[TextPart | str]
) -> dict[TextPart, Path]:
    if not parts:
        domains = ", ".join(data.domains(language)) or "none"
        raise XlingError(f"{language}: no text selected; its domains are {domains}")
    found: dict[TextPart, Path] = {}
    for value in parts:
        try:
            part = TextPart.model_validate(value)
        except ValueError:
            halves = " or ".join(f"DOMAIN:{half}" for half in HALVES)
            raise XlingError(f"{language}: text {value!r}: expected DOMAIN or {halves}") from None
        if part in found:
            raise XlingError(f"{language}: text {part} is selected twice; name each part once")
        found[part] = data.text(part.domain, language)
    return found


def _listed(data: DataFolder) -> str:
    return ", ".join(data.languages)


def count_lines(path: Path) -> int:
    """Count the lines of a text file, blank ones included."""
    return sum(block.text.count("\n") + 1 for block in read_blocks(path))


def read_part(path: Path, part: TextPart, lines: int | None = None) -> Iterator[list[str]]:
    """Yield the lines of a part that are not blank, in lists of about a megabyte.

    Args:
        path: The domain's text file, plain or gzipped.
        part: Which lines of it: all, or a half. The middle line of an odd number is in the
            second half, so the halves share nothing.
        lines: How many lines the file has, if known; halves need it and count otherwise.

    Raises:
        XlingError: Bytes that are not UTF-8, or no line that is not blank.
    """
    first, last = 0, None
    if part.part != "all":
        half = (count_lines(path) if lines is None else lines) // 2
        first, last = (0, half) if part.part == "first-half" else (half, None)
    found = False
    for block in read_blocks(path):
        start = block.first - 1
        if last is not None and start >= last:
            break
        chosen = block.lines()[max(0, first - start) : None if last is None else last - start]
        kept = [line for line in chosen if line and not line.isspace()]
        if kept:
            found = True
            yield kept
    if not found:
        where = "" if part.part == "all" else f" in the {part.part.replace('-', ' ')}"
        raise XlingError(
            f"{path}: no text{where}: every line is blank; "
            "put one sentence or paragraph a line there, or leave this domain out"
        )
