"""Scores by pair and seed, and weighted sums of them, with the error that test items make."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from xling.estimate import HALF_WIDTH, Cell, Measured, standard_error, total
from xling.influence import Floats, mean_of
from xling.report.claims.claim import Contrast, Layers, Place, Score, Term
from xling.results import TRAINED, Key, of_targets, with_intervals

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reading:
    """Which rows of the results to read.

    Attributes:
        probe: The probe.
        metric: The metric.
        variant: The variant.
        layers: Which layers.
        condition: The condition.
        inverse: Whether to take one over the value.
    """

    probe: str
    metric: str
    variant: str
    layers: Layers = "none"
    condition: str = TRAINED
    inverse: bool = False


def reading(term: Term, score: Score) -> Reading:
    """Say where a term's score stands."""
    layers = term.layers or score.layers
    if not term.baseline:
        return Reading(score.probe, score.metric, term.variant, layers, term.condition)
    base = score.baseline
    return Reading(
        base.probe or score.probe,
        base.metric or score.metric,
        base.variant or term.variant,
        layers,
        base.condition,
        base.inverse,
    )


# From variant, pair and seed to the influence values of that model's scores.
InfluenceOf = Callable[[str, str, int], Mapping[Key, Floats]]


# Data set and target of a pair and seed, then layers (None for scores without).
_Series = dict[tuple[str, int], dict[tuple[str, str], dict[int | None, Measured]]]


class Cells:
    """Reads scores by pair and seed from the table of results.

    Plain dictionaries, because the claims ask some hundred small questions of one table.

    Args:
        results: A study's table of scores.
        influence: Gives the influence values of a model's scores; without it (or where it has
            none) the scores' own intervals stand in.
    """

    def __init__(self, results: "pd.DataFrame", influence: InfluenceOf | None = None) -> None:
        self._influence = influence
        self._series: dict[tuple[str, str, str, str], _Series] = {}
        rows = with_intervals(results)
        rows = rows[of_targets(rows) & rows["draw"].isna() & rows["value"].notna()]
        rows = rows.assign(
            error=(rows["high"] - rows["low"]) / 2 / HALF_WIDTH,
            layer=rows["layer"].astype("float64"),
        )
        for kind, cell, target, at, value, error in zip(
            _tuples(rows, "probe", "variant", "condition", "metric"),
            _tuples(rows, "pair", "seed"),
            _tuples(rows, "dataset", "language"),
            *(rows[name] for name in ("layer", "value", "error")),
            strict=True,
        ):
            layers = self._series.setdefault(kind, {}).setdefault(cell, {}).setdefault(target, {})
            layers[None if math.isnan(at) else int(at)] = Measured(value, error)
        self._found: dict[Reading, dict[tuple[str, int], Measured]] = {}

    def of(self, wanted: Reading) -> dict[tuple[str, int], Measured]:
        """Return a score by pair and seed; empty if it is not there.

        Only scores of target languages, or of both directions, count. Several targets and data
        sets are averaged; their errors are taken as independent unless influence values show how
        they vary together. Errors of several layers, which read the same items, are averaged.

        Args:
            wanted: Which rows.
        """
        if wanted not in self._found:
            kind = wanted.probe, wanted.variant, wanted.condition, wanted.metric
            found = {}
            for cell, targets in self._series.get(kind, {}).items():
                known = self._influence(wanted.variant, *cell) if self._influence else {}
                reduced = [
                    _over_layers(_with_influence(layers, known, wanted, *target), wanted.layers)
                    for target, layers in targets.items()
                ]
                if whole := [measured for measured in reduced if measured is not None]:
                    found[cell] = _averaged(whole, wanted.inverse)
            self._found[wanted] = found
        return self._found[wanted]


def _tuples(frame: "pd.DataFrame", *names: str) -> Iterator[object]:
    return zip(*(frame[name].to_numpy(object) for name in names), strict=True)


def _with_influence(
    layers: Mapping[int | None, Measured],
    known: Mapping[Key, Floats],
    wanted: Reading,
    dataset: str,
    language: str,
) -> dict[int | None, Measured]:
    """Replace errors from intervals by those from the items' influence values, where known."""
    found = dict(layers)
    for layer, measured in layers.items():
        key = Key(wanted.probe, dataset, language, "", layer, wanted.condition, None, wanted.metric)
        values = known.get(key)
        if values is None:
            continue
        if len(values) < 2:  # then the score's own interval has no width
            found[layer] = Measured(measured.value, math.nan)
        elif np.isfinite(values).all():
            found[layer] = Measured(measured.value, standard_error(values), values)
    return found


def _over_layers(found: dict[int | None, Measured], layers: Layers) -> Measured | None:
    """Reduce layers to one number; a score without layers stays as it is."""
    layered = {layer: measured for layer, measured in found.items() if layer is not None}
    if layers == "none" or not layered:
        return found.get(None)
    if layers == "best":
        return max(layered.values(), key=lambda measured: measured.value)
    chosen = [layered[layer] for layer in band(sorted(layered), layers)]
    if not chosen:
        return None
    return Measured(
        fmean(measured.value for measured in chosen),
        fmean(measured.error for measured in chosen),
        mean_of([measured.influence for measured in chosen]),
    )


def band(numbers: Sequence[int], layers: Layers) -> list[int]:
    """Return the lower, middle or upper layers of a model, or all of them.

    Args:
        numbers: Its layers, the last one its depth.
        layers: ``lower``: up to a third of the depth; ``upper``: from two thirds; ``middle``:
            between; ``mean``: all.

    Example:
        >>> [band(range(9), part) for part in ("lower", "middle", "upper")]
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    """
    depth = max(numbers)
    within = {
        "lower": lambda layer: 3 * layer <= depth,
        "middle": lambda layer: depth < 3 * layer < 2 * depth,
        "upper": lambda layer: 3 * layer >= 2 * depth,
        "mean": lambda layer: True,
    }
    return [layer for layer in numbers if within[layers](layer)]


def _averaged(found: Sequence[Measured], inverse: bool) -> Measured:
    values = list(found)
    if inverse:
        values = [Measured(1 / one.value if one.value else math.nan, math.nan) for one in values]
    return total(values).times(1 / len(values))


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
        A cell for each pair and seed (for each seed, if terms name their pairs) that has all the
        scores; none if not measured.
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
    """Return a baseline by group, the same for all seeds; without an interval it is exact."""
    groups: dict[str, list[Measured]] = {}
    for (group, _), measured in found.items():
        groups.setdefault(group, []).append(measured)
    return {group: _mean(values) for group, values in groups.items()}


def _mean(found: Sequence[Measured]) -> Measured:
    value = fmean(one.value for one in found)
    errors = [one.error for one in found if not math.isnan(one.error)]
    influence = mean_of([one.influence for one in found])
    return Measured(value, fmean(errors) if errors else 0.0, influence)
