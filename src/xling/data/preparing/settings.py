"""Settings of ``xling data prepare``: which steps to take, and how."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from xling.names import Languages, Name


class DisjointSettings(BaseModel):
    """Corpora that are translations of each other in the same order, to be made disjoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: tuple[Name, ...] = Field(..., min_length=1, description="domains to divide")
    languages: Languages = Field(
        ..., min_length=2, description="languages that take the blocks in turn"
    )
    block: int = Field(
        1000, ge=1, description="lines of a block: about a document's length, so that few are cut"
    )


class IdentifySettings(BaseModel):
    """Leaves out lines in a language other than their file's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(
        0.9,
        gt=0.0,
        le=1.0,
        description="a line is left out if another language has at least this probability; less "
        "certain lines stay",
    )


class FilterSettings(BaseModel):
    """Leaves out lines of unfit length, in another script, with odd words or repetitive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shortest: int = Field(1, ge=1, description="fewest characters of a line")
    longest: int = Field(100_000, ge=1, description="most characters of a line")
    script: float = Field(
        0.5, ge=0.0, le=1.0, description="least share of a line's letters in the language's script"
    )
    preset: Literal["fineweb-2", "gopher"] | None = Field(
        "fineweb-2",
        description="thresholds of repetition and words: FineWeb-2's of the language, or Gopher's "
        "for all; null judges neither",
    )
    judged_words: int = Field(
        20,
        ge=1,
        description="fewest words of a line that the preset judges: it was made for documents, and "
        "a short sentence may well repeat two words",
    )


class DuplicateSettings(BaseModel):
    """Lines that repeat an earlier line of their language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    near: bool = Field(
        True,
        description="also lines that share most of their word 5-grams with an earlier one "
        "(MinHash, 14 bands of 8 rows: half of the pairs of similarity 0.72 are found)",
    )


class EqualSettings(BaseModel):
    """Text cut to equal sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    across: Literal["languages", "domains", "both"] = Field(
        ...,
        description="languages: in each domain; domains: in each language; both: all text alike",
    )
    unit: Literal["lines", "characters"] = Field("lines", description="what is counted")


def _on_or_off(value: object) -> object:
    """Read true as a step with its defaults, and false as none."""
    return {} if value is True else None if value is False else value


Switch = BeforeValidator(_on_or_off)


class PrepareSettings(BaseModel):
    """The steps of a preparation, in the order in which they are done.

    ``true`` for a step with settings takes their defaults, ``false`` leaves it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    disjoint: Annotated[DisjointSettings | None, Switch] = Field(
        None, description="alternating blocks for languages with translated text"
    )
    sentences: bool = Field(False, description="one sentence a line (sentencex)")
    identify: Annotated[IdentifySettings | None, Switch] = Field(
        None, description="leave out lines in another language (py3langid)"
    )
    filters: Annotated[FilterSettings | None, Switch] = Field(
        None, description="leave out lines by length, script, words and repetition"
    )
    decontaminate: bool = Field(
        True,
        description="leave out lines that hold a sentence, or 12 words in a row, of any evaluation "
        "part of the folder in any language",
    )
    duplicates: Annotated[DuplicateSettings | None, Switch] = Field(
        DuplicateSettings(), description="leave out lines that repeat an earlier one"
    )
    moses: bool = Field(
        False, description="punctuation normalised and tokenised as by Moses (sacremoses)"
    )
    segment: bool = Field(
        False,
        description="Chinese, Japanese and Thai cut into words (rjieba, fugashi, pythainlp)",
    )
    lower: bool = Field(False, description="lower case")
    equal: Annotated[EqualSettings | None, Switch] = Field(None, description="equal sizes")

    @property
    def changes_words(self) -> bool:
        """Whether lines are written differently, those of evaluation parts too."""
        return self.moses or self.segment or self.lower


NOTHING = PrepareSettings(decontaminate=False, duplicates=None)
