"""Settings of the verbs that align or compare two models (light to import: no torch)."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xling.device import BATCH_TOKENS
from xling.encoders.config import EncodingConfig
from xling.names import Language, Name, Pair

Measure = Literal[
    "cka",
    "debiased-cka",
    "svcca",
    "pwcca",
    "procrustes-distance",
    "rsa",
    "mutual-knn",
    "neurons",
]


class AlignSettings(BaseModel):
    """Settings of all alignments of two models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Language, Language] = Field(..., description="source and target language")
    normalization: Literal["none", "centre", "unit", "iterative"] = Field(
        "iterative", description="Normalisation of each side before the map."
    )
    map: Literal["procrustes", "least-squares", "ridge"] = Field(
        "procrustes", description="The map from the source's space to the target's."
    )
    penalty: float = Field(1.0, gt=0, description="Penalty of ridge regression.")
    k: int = Field(10, ge=1, description="Number of neighbours for CSLS and the margin.")
    resamples: int = Field(
        1000, ge=0, description="Bootstrap resamples for the intervals; 0 omits them."
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Maximum tokens, including padding, in one forward pass."
    )


class SentenceSettings(AlignSettings):
    """Alignment learnt from parallel lines, scored by retrieval on other parallel lines."""

    train: Name = Field(..., description="Parallel set from which the map is learnt.")
    test: tuple[Name, ...] | None = Field(
        None, description="Parallel sets to score on; by default all others with both languages."
    )
    train_lines: int = Field(
        0, ge=0, description="Lines of the training set to use, evenly spaced; 0 uses all."
    )
    test_lines: int = Field(
        0, ge=0, description="Lines of each test set to use, evenly spaced; 0 uses all."
    )
    random_seeds: tuple[int, ...] = Field(
        (1,), description="One pair of untrained encoders is aligned per seed; empty for none."
    )


class ExportSettings(SentenceSettings):
    """Which alignment to export."""

    languages: Pair = Field(..., description="source and target language")
    layer: int | None = Field(
        None,
        ge=0,
        description="The source's layer; by default the best one on a held-out tenth of the "
        "training lines.",
    )
    license: str | None = Field(
        None,
        min_length=1,
        description="Licence of the exported pair, for its model card, e.g. apache-2.0; by "
        "default what the cards of both models say, or unknown.",
    )


class WordSettings(AlignSettings):
    """Alignment of word types, learnt from a dictionary, scored by lexicon induction."""

    text: dict[Language, tuple[Name, ...]] = Field(
        ..., description="Domains whose text is encoded, per language."
    )
    maximum_lines: int = Field(500_000, ge=1, description="Lines of text per language.")
    maximum_words: int = Field(
        20_000, ge=2, description="Vocabulary size: the most frequent words of the text."
    )
    minimum_count: int = Field(
        1, ge=1, description="Words that occur less often in the text are left out."
    )
    vectors: dict[Language, Path] = Field(
        default_factory=dict,
        description="Static vectors to compare with (word2vec or fastText, text or .bin), per "
        "language; by default PPMI vectors of the same text.",
    )
    static_width: int = Field(300, ge=1, description="Width of PPMI vectors.")


class CompareSettings(EncodingConfig):
    """Settings of a comparison of two models."""

    languages: tuple[Language, Language] = Field(
        ..., description="languages of the first and the second model"
    )
    datasets: tuple[Name, ...] | None = Field(
        None, description="Parallel sets to use; by default all that have both languages."
    )
    measures: tuple[Measure, ...] = Field(
        ("cka", "debiased-cka", "procrustes-distance", "rsa", "mutual-knn"),
        description="Measures to compute for every pair of layers.",
    )
    maximum_lines: int = Field(
        0, ge=0, description="Lines of each set to use, evenly spaced; 0 uses all."
    )
    random_seeds: tuple[int, ...] = Field(
        (1, 2, 3),
        description="The lower bound: the other model untrained, once per seed; empty for none.",
    )
    resamples: int = Field(
        1000, ge=0, description="Bootstrap resamples of the correlation with retrieval."
    )
