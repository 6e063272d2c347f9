"""Scores of one kind by pair and seed, with the error that the choice of test items makes."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from xling.influence import Floats, Key, mean_of, of_sum
from xling.names import direction_languages, pair_languages, pair_name
from xling.report.ledger.claim import Layers, Score, Term

if TYPE_CHECKING:
    import pandas as pd

_HALF_WIDTH = 1.959964  # of a normal 95 % interval, in standard errors


@dataclass(frozen=True)
class Reading:
    """Which rows of the results to read.

    Attributes:
        probe: The probe.
        metric: The metric, with what stands before it.
        variant: The variant.
        layers: Which layers.
        inverse: Whether to take one over the value.
    """

    probe: str
    metric: str
    variant: str
    layers: Layers = "none"
    inverse: bool = False


def reading(term: Term, score: Score) -> Reading:
    """Say where a term's score stands."""
    layers = term.layers or score.layers
    if not term.baseline:
        return Reading(score.probe, term.condition + score.metric, term.variant, layers)
    base = score.baseline
    return Reading(
        base.probe or score.probe,
        base.condition + (base.metric or score.metric),
        base.variant or term.variant,
        layers,
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


@dataclass
class _Point:
    """A score at one layer, and the errors that its own or its directions' intervals tell."""

    value: float = math.nan
    own: tuple[float, float] = (math.nan, math.nan)

    @property
    def error(self) -> float:
        return (self.own[1] - self.own[0]) / 2 / _HALF_WIDTH


# Data set and target of a pair and seed, then layers (None for scores without).
_Series = dict[tuple[str, int], dict[tuple[str, str], dict[int | None, Measured]]]


class Cells:
    """Reads scores by pair and seed from the table of results.

    Plain dictionaries, because the ledger asks some hundred small questions of one table.

    Args:
        results: The tidy table, as ``load.read_results`` returns it.
        influence: Gives the influence values of a model's scores; without it (or where it has
            none) the scores' own intervals stand in.
    """

    def __init__(self, results: "pd.DataFrame", influence: InfluenceOf | None = None) -> None:
        self._influence = influence
        points: dict[tuple[str, str, str], dict[tuple[object, ...], _Point]] = {}
        columns = ["probe", "variant", "pair", "seed", "dataset", "language", "layer", "metric"]
        layers = results["layer"].astype("float64")
        rows = results.assign(layer=layers)[[*columns, "value"]]
        for probe, variant, pair, seed, dataset, language, at, metric, value in rows.itertuples(
            index=False, name=None
        ):
            layer = None if math.isnan(at) else int(at)
            name = metric.removesuffix("-low").removesuffix("-high")
            kind = points.setdefault((probe, variant, name), {})
            point = kind.setdefault((pair, int(seed), dataset, language, layer), _Point())
            if name == metric:
                point.value = value
            elif metric.endswith("-low"):
                point.own = value, point.own[1]
            else:
                point.own = point.own[0], value
        self._points = points
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
            points = self._points.get((wanted.probe, wanted.variant, wanted.metric), {})
            found = {}
            for cell, targets in _series(points).items():
                self._add_influence(wanted, cell, targets)
                reduced = [_over_layers(layers, wanted.layers) for layers in targets.values()]
                if whole := [measured for measured in reduced if measured is not None]:
                    found[cell] = _averaged(whole, wanted.inverse)
            self._found[wanted] = found
        return self._found[wanted]

    def _add_influence(
        self,
        wanted: Reading,
        cell: tuple[str, int],
        targets: dict[tuple[str, str], dict[int | None, Measured]],
    ) -> None:
        if self._influence is None:
            return
        known = self._influence(wanted.variant, *cell)
        for (dataset, language), layers in targets.items():
            for layer, measured in layers.items():
                values = known.get((wanted.probe, dataset, language, layer, wanted.metric))
                if values is None:
                    continue
                if len(values) < 2:  # the score's own interval has no width then
                    layers[layer] = Measured(measured.value, math.nan)
                elif np.isfinite(values).all():
                    error = standard_error(values)
                    layers[layer] = Measured(measured.value, error, values)


def _series(points: dict[tuple[object, ...], _Point]) -> _Series:
    """Gather the points of targets and of both directions, by cell."""
    directions: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for (pair, seed, dataset, language, layer), point in points.items():
        if ">" in str(language):
            directions[pair, seed, dataset, _target(str(language)), layer].append(point.error)
    series: _Series = {}
    for (pair, seed, dataset, language, layer), point in points.items():
        name = str(language)
        if ">" in name or name == pair_languages(str(pair))[0] or math.isnan(point.value):
            continue
        error = point.error
        both = directions.get((pair, seed, dataset, _target(name), layer))
        # A mean of directions may have no interval of its own.
        if math.isnan(error) and both:
            error = fmean(both)
        targets = series.setdefault((str(pair), int(str(seed))), {})
        layers = targets.setdefault((str(dataset), name), {})
        layers[None if layer is None else int(str(layer))] = Measured(point.value, error)
    return series


def _target(language: str) -> str:
    return pair_name(sorted(direction_languages(language)))


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
