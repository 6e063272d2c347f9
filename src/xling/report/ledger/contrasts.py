"""Weighted sums of scores within a pair and seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from xling.influence import Floats, mean_of
from xling.report.ledger.cells import Cells, Measured, reading, total
from xling.report.ledger.claim import Contrast, Place, Score, Term


@dataclass(frozen=True, eq=False)
class Cell:
    """A contrast of one pair and seed.

    Attributes:
        group: The pair; the same for all seeds if terms say at which pair.
        seed: The seed.
        value: The weighted sum.
        error: Its standard error over test items; NaN if a score has none.
        influence: Influence values of the test items on it [N]; None if a score has none.
    """

    group: str
    seed: int
    value: float
    error: float
    influence: Floats | None = None


def places(pairs: Sequence[str]) -> dict[Place, str]:
    """Return the nearest and furthest pair, and the middle one of at least three.

    Args:
        pairs: From near to far.
    """
    if len(pairs) < 2:
        return {}
    found: dict[Place, str] = {"nearest": pairs[0], "furthest": pairs[-1]}
    if len(pairs) > 2:
        found["middle"] = pairs[len(pairs) // 2]
    return found


def contrast_cells(
    cells: Cells,
    contrast: Contrast,
    score: str,
    scores: Mapping[str, Score],
    pairs: Sequence[str],
) -> list[Cell]:
    """Sum up a contrast wherever all of its scores are there.

    Args:
        cells: The results.
        contrast: What to sum.
        score: Which of its scores to test.
        scores: All that there are.
        pairs: The study's pairs from near to far; others do not count.

    Returns:
        A cell for each pair and seed (for each seed, if terms say at which pair) that has them
        all; none if not measured.
    """
    where = places(pairs)
    own: list[dict[tuple[str, int], Measured]] = []
    baselines: list[dict[str, Measured]] = []
    for term in contrast.terms:
        found = _weighted(cells, term, scores[term.score or score], pairs, where)
        if term.baseline:
            baselines.append(_over_seeds(found))
        else:
            own.append(found)
    result = []
    for group, seed in own[0]:
        parts = [found.get((group, seed)) for found in own]
        parts += [known.get(group) for known in baselines]
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):
            result.append(_cell(group, seed, whole))
    return result


def _cell(group: str, seed: int, parts: Sequence[Measured]) -> Cell:
    exact = [part for part in parts if part.influence is None and part.error == 0]
    found = total([part for part in parts if part not in exact])
    value = sum(part.value for part in parts)
    return Cell(group, seed, value, found.error, found.influence)


def _weighted(
    cells: Cells,
    term: Term,
    score: Score,
    pairs: Sequence[str],
    where: Mapping[Place, str],
) -> dict[tuple[str, int], Measured]:
    """Return a term by group and seed."""
    chosen = pairs if term.at is None else [where.get(term.at, "")]
    return {
        ("" if term.at else pair, seed): found.times(term.weight)
        for (pair, seed), found in cells.of(reading(term, score)).items()
        if pair in chosen
    }


def _over_seeds(found: Mapping[tuple[str, int], Measured]) -> dict[str, Measured]:
    """Return a baseline by group: it stands for all seeds, known exactly if it has no interval."""
    groups: dict[str, list[Measured]] = {}
    for (group, _), measured in found.items():
        groups.setdefault(group, []).append(measured)
    return {group: _mean(values) for group, values in groups.items()}


def _mean(found: Sequence[Measured]) -> Measured:
    value = fmean(one.value for one in found)
    errors = [one.error for one in found if not math.isnan(one.error)]
    influence = mean_of([one.influence for one in found])
    return Measured(value, fmean(errors) if errors else 0.0, influence)
