"""The paper's published results (Conneau et al. 2020, Table 1), to compare a study's with."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.results import Score, as_table, joined
from xling.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "default"  # the variant that differences are taken from
BASE = "en"  # the source language of every published result


class Published(BaseModel):
    """Table 1 as printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[str, ...] = Field(..., description="target languages, from near to far")
    metrics: Mapping[str, str] = Field(..., description="what the scores of each task are")
    variants: Mapping[str, Mapping[str, tuple[float, ...]]] = Field(
        ..., description="variant, task: percent for each language, then the printed difference"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for variant, tasks in self.variants.items():
            if tasks.keys() != self.metrics.keys():
                raise ValueError(f"{variant}: has {', '.join(tasks)}, not each task of metrics")
            for task, numbers in tasks.items():
                if len(numbers) != len(self.languages) + 1:
                    raise ValueError(
                        f"{variant}.{task}: {len(numbers)} numbers, expected one per language and "
                        "the difference"
                    )
        if DEFAULT not in self.variants:
            raise ValueError(f"no variant {DEFAULT}, which differences are from")
        return self

    def score(self, variant: str, task: str, language: str) -> float | None:
        """Return a published score, 0 to 1; None if there is none."""
        if language not in self.languages:
            return None
        numbers = self.variants.get(variant, {}).get(task)
        return numbers[self.languages.index(language)] / 100 if numbers else None

    def printed_difference(self, variant: str, task: str) -> float | None:
        """Return the printed mean difference from default, -1 to 1; None if there is none."""
        numbers = self.variants.get(variant, {}).get(task)
        return numbers[-1] / 100 if numbers else None

    def as_results(self) -> "pd.DataFrame":
        """Return the table as rows of ``results.csv``, values 0 to 1, of one seed called 0."""
        return joined(
            (
                {"study": "paper", "variant": variant, "pair": f"{BASE}-{language}", "seed": 0},
                as_table(
                    Score(f"transfer-{task}", task, language, metric=metric, value=value / 100)
                    for task, metric in self.metrics.items()
                    for value in [tasks[task][place]]
                ),
            )
            for variant, tasks in self.variants.items()
            for place, language in enumerate(self.languages)
        )


@cache
def load_published() -> Published:
    """Read the published table.

    Example:
        >>> load_published().score("no-anchors", "nli", "fr")
        0.721
    """
    with as_file(files("xling.report") / "published.yaml") as path:
        return load_settings(path, Published)


def corresponding(pairs: Sequence[str], like: Mapping[str, str]) -> dict[str, str]:
    """Return which published language each pair's target stands for, if there is one.

    Args:
        pairs: The pairs of a study, e.g. ``["aa-near", "en-fr"]``.
        like: What the study says of its pairs; the others stand for the language they name, if
            their base is English.

    Example:
        >>> corresponding(["aa-near", "en-ru", "en-de"], {"aa-near": "fr"})
        {'aa-near': 'fr', 'en-ru': 'ru'}
    """
    published = load_published().languages
    named = {f"{BASE}-{language}": language for language in published} | dict(like)
    return {pair: named[pair] for pair in pairs if pair in named}


def by_distance(pairs: Sequence[str], like: Mapping[str, str]) -> list[str]:
    """Order a study's pairs from near to far.

    In the order of the published languages if every pair corresponds to one, and as the study
    names them otherwise.
    """
    stands_for = corresponding(pairs, like)
    if len(stands_for) < len(pairs):
        return list(pairs)
    return sorted(pairs, key=lambda pair: load_published().languages.index(stands_for[pair]))
