"""Scores of one kind by pair and seed, with the error that the choice of test items makes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from xling.influence import Floats, mean_of, of_sum
from xling.report.ledger.claim import Layers, Score, Term
from xling.results import TRAINED, Key, of_targets, with_intervals

if TYPE_CHECKING:
    import pandas as pd

_HALF_WIDTH = 1.959964  # of a normal 95 % interval, in standard errors


@dataclass(frozen=True)
class Reading:
    """Which rows of the results to read.

    Attributes:
        probe: The probe.
        metric: The metric.
        variant: The variant.
        layers: Which layers.
        condition: Under which condition.
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


@dataclass(frozen=True, eq=False)
class Measured:
    """A number, and how it depends on the choice of test items.

    Attributes:
        value: The number.
        error: The standard error that the choice of items makes; NaN if unknown.
        influence: Influence values of the items [N]; None if unknown.
    """

    value: float
    error: float
    influence: Floats | None = None

    def times(self, weight: float) -> "Measured":
        """Return the number times a weight."""
        influence = None if self.influence is None else weight * self.influence
        return Measured(weight * self.value, abs(weight) * self.error, influence)


def total(parts: Sequence[Measured]) -> Measured:
    """Add numbers up: by item where influence values tell how, else as if they erred apart."""
    known = [part.influence for part in parts if part.influence is not None]
    influence = of_sum(known) if known and len(known) == len(parts) else None
    error = math.sqrt(sum(part.error**2 for part in parts))
    if influence is not None:
        error = standard_error(influence)
    return Measured(sum(part.value for part in parts), error, influence)


def standard_error(influence: Floats) -> float:
    """Return the standard error of a score from its items' influence values [N].

    NaN for fewer than two items, which do not tell how much others would differ.
    """
    count = len(influence)
    if count < 2:
        return math.nan
    return math.sqrt(float(influence @ influence) / (count - 1) / count)


# From variant, pair and seed to the influence values of that model's scores.
InfluenceOf = Callable[[str, str, int], Mapping[Key, Floats]]


# Data set and target of a pair and seed, then layers (None for scores without).
_Series = dict[tuple[str, int], dict[tuple[str, str], dict[int | None, Measured]]]


class Cells:
    """Reads scores by pair and seed from the table of results.

    Plain dictionaries, because the ledger asks some hundred small questions of one table.

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
            error=(rows["high"] - rows["low"]) / 2 / _HALF_WIDTH,
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
        sets are averaged, their errors taken as independent where influence values do not tell how
        they go together; those of several layers, which read the same items, as one.

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


def _tuples(frame: "pd.DataFrame", *names: str) -> Iterator[Any]:
    return zip(*(frame[name] for name in names), strict=True)


def _with_influence(
    layers: Mapping[int | None, Measured],
    known: Mapping[Key, Floats],
    wanted: Reading,
    dataset: str,
    language: str,
) -> dict[int | None, Measured]:
    """Put the items' own errors in the place of those that intervals tell, where they are known."""
    found = dict(layers)
    for layer, measured in layers.items():
        key = Key(wanted.probe, dataset, language, "", layer, wanted.condition, None, wanted.metric)
        values = known.get(key)
        if values is None:
            continue
        if len(values) < 2:  # the score's own interval has no width then
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
