"""A mean over pairs and seeds with its 95 % interval: the rule at the head of ``claims.yaml``."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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
        groups: Pairs it is a mean over (of a correlation: models).
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


def estimate(cells: "pd.DataFrame") -> Estimate | None:
    """Average contrasts over seeds, then over pairs.

    Args:
        cells: From ``contrasts.contrast_cells``.

    Returns:
        The estimate; None without cells.
    """
    if cells.empty:
        return None
    groups = cells.groupby("group", sort=False)
    sizes, means = groups.size(), groups["value"].mean()
    count = len(sizes)
    value = float(means.mean())
    # All seeds are tested on the same items, so more seeds do not make that error smaller.
    squared = (cells["error"] ** 2).groupby(cells["group"], sort=False)
    items = float(squared.mean().sum()) / count**2 if cells["error"].notna().all() else math.nan
    freedom = len(cells) - count
    if freedom:
        residuals = cells["value"] - groups["value"].transform("mean")
        pooled = float((residuals**2).sum()) / freedom
        seeds = pooled * float((1 / sizes).sum()) / count**2
        basis = SEEDS if math.isnan(items) else SEEDS_AND_ITEMS
        half = _half_width(seeds, freedom, 0.0 if math.isnan(items) else items)
    elif not math.isnan(items):
        basis, half = ITEMS, _half_width(0.0, 1, items)
    elif count > 1:
        basis, half = PAIRS, _half_width(float(means.var()) / count, count - 1, 0.0)
    else:
        basis, half = NOTHING, math.nan
    ends = value - half, value + half
    return Estimate(value, *ends, count, len(cells), int(sizes.max()), basis)


def _half_width(estimated: float, freedom: int, known: float) -> float:
    """Half of a 95 % interval from an estimated and a known variance (Satterthwaite)."""
    from scipy.stats import norm, t

    if not estimated:
        return float(norm.ppf(_UPPER)) * math.sqrt(known)
    variance = estimated + known
    return float(t.ppf(_UPPER, freedom * (variance / estimated) ** 2)) * math.sqrt(variance)
