"""How CKA goes with retrieval over layers, pairs and models."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xling.randomness import generator
from xling.report.geometry import correlated_points
from xling.report.ledger.claim import Correlation
from xling.report.ledger.interval import MODELS, NOTHING, Estimate

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 1000
_FEWEST = 4  # models: drawing from fewer says little of others


def correlation_estimate(
    results: "pd.DataFrame", test: Correlation, pairs: Sequence[str]
) -> Estimate | None:
    """Correlate CKA with retrieval after alignment at the same layers.

    Layers of one model are not independent of each other; so the interval comes from drawing
    models (variant, pair and seed, each with all of its layers) anew, with replacement.

    Args:
        results: The tidy table, as ``load.read_results`` returns it.
        test: Which variants.
        pairs: The study's pairs; others do not count.

    Returns:
        The estimate, without an interval for fewer than four models; None if there are not
        three points with both scores, or one of the scores is the same in all.
    """
    points = correlated_points(results)
    points = points[points["variant"].isin(test.correlated) & points["pair"].isin(pairs)]
    keys = ["variant", "pair", "seed"]
    models = [group[["cka", "retrieval"]].to_numpy(float) for _, group in points.groupby(keys)]
    value = _pearson(np.concatenate(models)) if models else math.nan
    if len(points) < 3 or math.isnan(value):
        return None
    low = high = math.nan
    if len(models) >= _FEWEST:
        random = generator(0, "ledger-correlation", len(models))
        drawn = random.integers(len(models), size=(_RESAMPLES, len(models)))
        values = [_pearson(np.concatenate([models[i] for i in row])) for row in drawn]
        low, high = (float(end) for end in np.nanquantile(values, [0.025, 0.975]))
    basis = NOTHING if math.isnan(low) else MODELS
    seeds = int(points.groupby(["variant", "pair"])["seed"].nunique().max())
    return Estimate(value, low, high, points["pair"].nunique(), len(points), seeds, basis)


def _pearson(points: NDArray[np.float64]) -> float:
    spread = points.max(axis=0) - points.min(axis=0)
    if (spread < 1e-12).any():
        return math.nan
    return float(np.asarray(np.corrcoef(points.T))[0, 1])
