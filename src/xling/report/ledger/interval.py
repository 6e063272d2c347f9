"""A mean over pairs and seeds with its 95 % interval: the rule at the head of ``claims.yaml``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from xling.report.ledger.contrasts import Cell

_UPPER = 0.975
SEEDS_AND_ITEMS, SEEDS = "seeds and test items", "seeds"
ITEMS, PAIRS, MODELS, NOTHING = "test items (one seed)", "pairs (one seed)", "models", "nothing"


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Attributes:
        value: The estimate.
        low: Lower end of its 95 % interval; NaN if there is none.
        high: Upper end.
        groups: Pairs it is a mean over; 0 if it compares pairs with each other.
        cells: Numbers in it, one a pair and seed.
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

    Args:
        cells: From ``contrasts.contrast_cells``.

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
    # All seeds are tested on the same items, so more seeds do not make that error smaller.
    squared = [fmean(cell.error**2 for cell in group) for group in groups.values()]
    items = sum(squared) / count**2
    freedom = len(cells) - count
    if freedom:
        pooled = sum((cell.value - means[cell.group]) ** 2 for cell in cells) / freedom
        seeds = pooled * sum(1 / len(group) for group in groups.values()) / count**2
        basis = SEEDS if math.isnan(items) else SEEDS_AND_ITEMS
        half = _half_width(seeds, freedom, 0.0 if math.isnan(items) else items)
    elif not math.isnan(items):
        basis, half = ITEMS, _half_width(0.0, 1, items)
    elif count > 1:
        basis, half = PAIRS, _half_width(variance(means.values()) / count, count - 1, 0.0)
    else:
        basis, half = NOTHING, math.nan
    most = max(len(group) for group in groups.values())
    ends = value - half, value + half
    named = count if any(groups) else 0
    return Estimate(value, *ends, named, len(cells), most, basis)


def _half_width(estimated: float, freedom: int, known: float) -> float:
    """Half of a 95 % interval from an estimated and a known variance (Satterthwaite)."""
    from scipy.stats import norm, t

    if not estimated:
        return float(norm.ppf(_UPPER)) * math.sqrt(known)
    total = estimated + known
    return float(t.ppf(_UPPER, freedom * (total / estimated) ** 2)) * math.sqrt(total)
