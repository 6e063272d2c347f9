"""Which text a language is learnt from: domains, halves of domains or their first lines.

Corpora that are translations of each other become non-parallel when one language takes the
first half of each text and the other the second. Text of another domain becomes comparable when
it is cut to the size of the text it replaces.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xling.data.layout import DataFolder
from xling.data.lines import read_blocks
from xling.errors import XlingError
from xling.names import Name, not_text

_FORMS = "DOMAIN, DOMAIN:first-half, DOMAIN:second-half, or any of them with :first-40000-lines"
_PART = re.compile(
    r"(?P<domain>[^:]+)(:(?P<part>first-half|second-half))?(:first-(?P<lines>[1-9]\d*)-lines)?"
)


class TextPart(BaseModel):
    """A domain of a language's text, or one half of it by line count, or the first lines of it.

    A string can be given instead: ``"help"``, ``"help:first-half"``,
    ``"help:first-40000-lines"`` or ``"help:second-half:first-40000-lines"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: Name = Field(description="Folder under text/.")
    part: Literal["all", "first-half", "second-half"] = Field(
        "all", description="The whole text, or its first or second half by line count."
    )
    lines: int | None = Field(None, ge=1, description="First non-blank lines to take; None: all.")

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: object) -> object:
        if wrong := not_text(value):
            raise ValueError(f"found {wrong}")
        if not isinstance(value, str):
            return value
        match = _PART.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r}: expected {_FORMS}")
        found = match.groupdict()
        return {**found, "part": found["part"] or "all"}

    @property
    def name(self) -> str:
        """The part as a piece of a file name: ``help`` or ``help.first-half``."""
        return str(self).replace(":", ".")

    def __str__(self) -> str:
        half = "" if self.part == "all" else f":{self.part}"
        return f"{self.domain}{half}" + (f":first-{self.lines}-lines" if self.lines else "")


class MatchedText(BaseModel):
    """Parts of a language's text, cut to the size of other text of the same language.

    The first lines of each part are taken, the same share of each, so that all together hold as
    many characters as the other text. (Characters can be counted in every script, and within a
    language they are as fair a measure as words.)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[TextPart, ...] = Field(..., min_length=1, description="text to take lines from")
    size_of: tuple[TextPart, ...] = Field(..., min_length=1, description="text whose size to match")


LanguageText = tuple[TextPart, ...] | MatchedText
"""What one language is learnt from, in a configuration file."""

TextSelection = Mapping[str, Sequence[TextPart | str] | MatchedText]
"""For each language, the parts of its text, in order."""


def select(data: DataFolder, text: TextSelection) -> dict[str, dict[TextPart, Path]]:
    """Find the file of every part that was asked for.

    Returns:
        For each language, in order, its parts and their files. Matched text becomes parts with the
        number of lines that match the size of the other text.

    Raises:
        XlingError: No language, a language without parts, a part given twice, a part in no known
            form, text that the data folder does not have, or less text than is to be matched.
    """
    if not text:
        raise XlingError(f"{data.root}: no language selected; the data has {_listed(data)}")
    return {
        language: _matched(data, language, parts)
        if isinstance(parts, MatchedText)
        else _files(data, language, parts)
        for language, parts in text.items()
    }


def named_parts(text: LanguageText) -> tuple[TextPart, ...]:
    """Return every part that a language's text depends on, including those to match in size."""
    if isinstance(text, MatchedText):
        return tuple(dict.fromkeys(text.parts + text.size_of))
    return text


def _matched(data: DataFolder, language: str, text: MatchedText) -> dict[TextPart, Path]:
    """Return the first lines of each part that together are as long as the text to match."""
    files = _files(data, language, text.parts)
    sizes = {part: _characters(path, part) for part, path in files.items()}
    wanted = sum(
        _characters(path, part) for part, path in _files(data, language, text.size_of).items()
    )
    there = sum(sizes.values())
    if there < wanted:
        raise XlingError(
            f"{language}: {_named(text.parts)} has {there:,} characters, and is to match "
            f"{_named(text.size_of)}, which has {wanted:,}; give more text, or cut the text to "
            "match, for example DOMAIN:first-40000-lines"
        )
    found = {}
    for part, path in files.items():
        # Rounded up, in whole numbers: a share of 1 takes every line.
        lines = _lines_holding(path, part, -(-sizes[part] * wanted // there))
        found[part.model_copy(update={"lines": lines})] = path
    return found


def _named(parts: Sequence[TextPart]) -> str:
    return " + ".join(str(part) for part in parts)


def _characters(path: Path, part: TextPart) -> int:
    return sum(len(line) for lines in read_part(path, part) for line in lines)


def _lines_holding(path: Path, part: TextPart, characters: int) -> int:
    """Count the lines of a part until they hold that many characters."""
    count = 0
    for lines in read_part(path, part):
        for line in lines:
            count += 1
            characters -= len(line)
            if characters <= 0:
                return count
    return count


def _files(
    data: DataFolder, language: str, parts: Sequence[TextPart | str]
) -> dict[TextPart, Path]:
    if not parts:
        if domains := ", ".join(data.domains(language)):
            raise XlingError(f"{language}: no text selected; its domains are {domains}")
        raise XlingError(f"{data.root}: no text in {language}; the data has {_listed(data)}")
    found: dict[TextPart, Path] = {}
    for value in parts:
        try:
            part = TextPart.model_validate(value)
        except ValidationError:
            raise XlingError(f"{language}: text {value!r}: expected {_FORMS}") from None
        # File names have dots for colons, and a domain may itself contain dots.
        if part.name in {other.name for other in found}:
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
        part: Which lines of it: all, or a half, or the first of these. The middle line of an odd
            number is in the second half, so the halves share nothing.
        lines: How many lines the file has, if known; otherwise they are counted for a half.

    Raises:
        XlingError: Bytes that are not UTF-8, only blank lines, or fewer lines than the part asks
            for.
    """
    first, last = 0, None
    if part.part != "all":
        half = (count_lines(path) if lines is None else lines) // 2
        first, last = (0, half) if part.part == "first-half" else (half, None)
    found = 0
    for block in read_blocks(path):
        start = block.first - 1
        if last is not None and start >= last:
            break
        chosen = block.lines()[max(0, first - start) : None if last is None else last - start]
        kept = [line for line in chosen if line and not line.isspace()]
        if part.lines is not None:
            kept = kept[: part.lines - found]
        if kept:
            found += len(kept)
            yield kept
        if found == part.lines:
            return
    if found and part.lines is not None:
        raise XlingError(
            f"{path}: {part} asks for {part.lines:,} lines, but there are {found:,} that are not "
            "blank; ask for fewer"
        )
    if not found:
        where = "" if part.part == "all" else f" in the {part.part.replace('-', ' ')}"
        raise XlingError(
            f"{path}: no text{where}: every line is blank; "
            "put one sentence or paragraph per line there, or leave this domain out"
        )
