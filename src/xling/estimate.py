"""A difference of scores with its 95 % interval, over pairs, seeds and test items.

The rule is at the head of ``report/claims/claims.yaml``. There are two sources of variance: which
seed was trained, and which test items were drawn (`xling.influence`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from xling.influence import Floats, mean_of, of_sum

_UPPER = 0.975
HALF_WIDTH = 1.959964  # of a normal 95 % interval, in standard errors
SEEDS_AND_ITEMS, SEEDS = "seeds and test items", "seeds"
ITEMS, PAIRS, MODELS, NOTHING = "test items (one seed)", "pairs (one seed)", "models", "nothing"


@dataclass(frozen=True, eq=False)
class Measured:
    """A number, and how it depends on the choice of test items.

    Attributes:
        value: The number.
        error: The standard error from the choice of items; NaN if unknown.
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
    """Add numbers: item by item if all have influence values, else with independent errors."""
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


@dataclass(frozen=True, eq=False)
class Cell:
    """A contrast of one pair and seed.

    Attributes:
        group: The pair; the same for all cells if the terms name their pairs.
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


@dataclass(frozen=True)
class Estimate:
    """A number and its interval.

    Attributes:
        value: The estimate.
        low: Lower end of its 95 % interval; NaN if there is none.
        high: Upper end.
        groups: Pairs it is a mean over; 0 if it compares pairs with each other.
        cells: Numbers in it, one for each pair and seed.
        seeds: The most seeds that a pair has.
        basis: What the interval is made from.
    """

    value: float
    low: float
    high: float
    groups: int
    cells: int
    seeds: int
    basis: str


def estimate(cells: Sequence[Cell]) -> Estimate | None:
    """Average contrasts over seeds, then over pairs.

    Seeds and test items are crossed: every seed is tested on the same items. With the influence
    values of the items, the variance of the mean is that of its items (averaged over seeds), plus
    that of its seeds (averaged over items), minus their interaction, which both contain; degrees
    of freedom by Satterthwaite (Hillis 2007, "A comparison of denominator degrees of freedom
    methods for multiple observer ROC analysis", which crosses readers and cases in the same way).

    Args:
        cells: One for each pair and seed.

    Returns:
        The estimate; None without cells.
    """
    if not cells:
        return None
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    means = {name: fmean(cell.value for cell in group) for name, group in groups.items()}
    count, value = len(groups), fmean(means.values())
    items, shared = _items(groups)
    freedom = len(cells) - count
    if freedom:
        pooled = sum((cell.value - means[cell.group]) ** 2 for cell in cells) / freedom
        seeds = pooled * sum(1 / len(group) for group in groups.values()) / count**2
        basis = SEEDS if math.isnan(items) else SEEDS_AND_ITEMS
        half = half_width(seeds, freedom, 0.0 if math.isnan(items) else items, shared)
    elif not math.isnan(items):
        basis, half = ITEMS, half_width(0.0, 1, items)
    elif count > 1:
        basis, half = PAIRS, half_width(variance(means.values()) / count, count - 1, 0.0)
    else:
        basis, half = NOTHING, math.nan
    most = max(len(group) for group in groups.values())
    ends = value - half, value + half
    named = count if any(groups) else 0
    return Estimate(value, *ends, named, len(cells), most, basis)


def _items(groups: Mapping[str, Sequence[Cell]]) -> tuple[float, float]:
    """Return the variance of the mean due to test items, and their interaction with seeds.

    A seed without influence values, or without an error, is taken to err like its pair's other
    seeds. If a whole pair has no influence values, errors are taken as independent between pairs
    and as identical between seeds, and the interaction as zero.
    """
    count = len(groups)
    known = [[cell.influence for cell in group] for group in groups.values()]
    tables = [_table(found) for found in known]
    if any(table is None for table in tables):
        # All seeds are tested on the same items, so more seeds do not reduce that error.
        return sum(_squared_error(group) for group in groups.values()) / count**2, 0.0
    whole = [table for table in tables if table is not None]
    items = standard_error(of_sum([table.mean(axis=0) / count for table in whole])) ** 2
    return items, sum(_interaction(table) for table in whole) / count**2


def _table(found: Sequence[Floats | None]) -> Floats | None:
    """Stack the influence values of the seeds that have them [S, N], if for the same items."""
    known = [values for values in found if values is not None]
    return np.stack(known) if mean_of(known) is not None else None


def _squared_error(group: Sequence[Cell]) -> float:
    known = [cell.error**2 for cell in group if not math.isnan(cell.error)]
    return fmean(known) if known else math.nan


def _interaction(table: Floats) -> float:
    """Return the variance of a pair's mean that is neither the items' nor the seeds' alone."""
    seeds, items = table.shape
    if seeds == 1 or items == 1:
        return 0.0
    # Rows of influence values have mean zero: only the items' means must be subtracted.
    rest = table - table.mean(axis=0)
    return float((rest**2).sum() / ((seeds - 1) * (items - 1)) / (items * seeds))


def half_width(estimated: float, freedom: int, known: float = 0.0, shared: float = 0.0) -> float:
    """Half of a 95 % interval from the seeds' (estimated) and the items' (known) variance.

    Args:
        estimated: Variance of the mean over seeds.
        freedom: Its degrees of freedom.
        known: Variance of the mean over items.
        shared: What both contain.
    """
    from scipy.special import ndtri, stdtrit  # scipy.stats takes half a second to import

    if not estimated:
        return float(ndtri(_UPPER)) * math.sqrt(known)
    # Seeds that move the same items in opposite ways make this zero, but they still differ.
    total = (known + max(0.0, estimated - shared)) or estimated
    free = max(float(freedom), freedom * (total / estimated) ** 2)
    return float(stdtrit(free, _UPPER)) * math.sqrt(total)
