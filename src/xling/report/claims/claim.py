"""What a claim is: findings as weighted sums of scores, read from ``claims.yaml``."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.results import TRAINED
from xling.settings import load_settings

Layers = Literal["none", "best", "mean", "lower", "middle", "upper"]
Place = Literal["nearest", "middle", "furthest"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Baseline(_Frozen):
    """Where to find the score of "nothing learnt across languages"; empty means as the score."""

    variant: str = Field("", description="a variant of its own")
    probe: str = Field("", description="another probe")
    metric: str = Field("", description="another metric")
    condition: str = Field(TRAINED, description="condition of the rows, e.g. untrained")
    inverse: bool = Field(False, description="take one over the number there")


class Score(_Frozen):
    """A kind of score: which rows of ``results.csv``, and which of a model's layers."""

    label: str = Field(..., description="what readers call it")
    probe: str = Field(..., description="probe of the rows")
    metric: str = Field(..., description="metric of the rows")
    layers: Layers = Field("none", description="which layers, if it has them")
    task: bool = Field(
        False, description="a task that is learnt in one language, tested in another"
    )
    baseline: Baseline = Field(default_factory=Baseline, description="what it must beat")


class Term(_Frozen):
    """One score in a weighted sum."""

    weight: float = Field(..., description="what it is multiplied by")
    variant: str = Field(..., description="which variant")
    baseline: bool = Field(False, description="the baseline's score in place of the variant's")
    at: Place | None = Field(None, description="of one pair only, by its distance")
    score: str = Field("", description="another score than the test's")
    layers: Layers | None = Field(None, description="other layers than the score's")
    condition: str = Field(TRAINED, description="condition of the rows, e.g. unmapped")


class Contrast(_Frozen):
    """A weighted sum of scores that a finding says is above a threshold, for each score named."""

    name: str = Field(..., description="the comparison in words")
    scores: tuple[str, ...] = Field(..., min_length=1, description="tested once with each")
    terms: tuple[Term, ...] = Field(..., min_length=1, description="what is summed")
    above: float = Field(0.0, description="the threshold")
    reason: str = Field("", description="why this threshold, or these weights")

    @model_validator(mode="after")
    def _sums_are_of_one_kind(self) -> Self:
        if len({term.at is None for term in self.terms}) > 1:
            raise ValueError("either all terms say at which pair, or none")
        if all(term.baseline for term in self.terms):
            raise ValueError("baselines alone are no contrast")
        # The same score twice would count its error twice.
        if len({term.model_copy(update={"weight": 0.0}) for term in self.terms}) < len(self.terms):
            raise ValueError("a term stands twice; add up the weights")
        return self


class Correlation(_Frozen):
    """Pearson's r of CKA with retrieval over layers, pairs and variants, above a threshold."""

    name: str = Field(..., description="the comparison in words")
    correlated: tuple[str, ...] = Field(..., min_length=1, description="variants of the layers")
    above: float = Field(..., description="the threshold")
    reason: str = Field("", description="why this threshold")


class Claim(_Frozen):
    """A finding, and the tests that all must hold."""

    id: str = Field(..., description="short name")
    finding: str = Field(..., description="what the paper found, in a sentence")
    source: str = Field(..., description="where in the paper")
    tests: tuple[Contrast | Correlation, ...] = Field(..., min_length=1)


class Claims(_Frozen):
    """The whole file."""

    scores: Mapping[str, Score]
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _names_exist_once(self) -> Self:
        if len({claim.id for claim in self.claims}) < len(self.claims):
            raise ValueError("an id stands twice")
        for claim in self.claims:
            for test in claim.tests:
                if isinstance(test, Correlation):
                    continue
                named = {*test.scores, *(term.score for term in test.terms if term.score)}
                if unknown := sorted(named - self.scores.keys()):
                    raise ValueError(f"{claim.id}: no score {unknown[0]}")
        return self


@cache
def load_claims() -> Claims:
    """Read the claims, fixed before any results."""
    with as_file(files("xling.report.claims") / "claims.yaml") as path:
        return load_settings(path, Claims)
