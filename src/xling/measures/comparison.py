"""All layers of one model against all layers of another, by every measure.

Conneau et al. 2020, Fig. 7.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix
from xling.measures.cca import pwcca, svcca
from xling.measures.cka import cka_matrix, debiased_cka
from xling.measures.neighbours import mutual_knn
from xling.measures.similarity import neuron_correlation, procrustes_distance, rsa
from xling.randomness import generator

MEASURES: dict[str, Callable[[Any, Any], float]] = {
    "debiased-cka": debiased_cka,
    "svcca": svcca,
    "pwcca": pwcca,
    "procrustes-distance": procrustes_distance,
    "rsa": rsa,
    "mutual-knn": mutual_knn,
    "neurons": neuron_correlation,
}
CKA = "cka"
_RSA_ITEMS = 1000  # its memory grows with their square
Cell = tuple[int, int, str, float]


def compare_layers(
    Xs: Sequence[Matrix], Ys: Sequence[Matrix], measures: Sequence[str]
) -> Iterator[Cell]:
    """Compare every layer of one model with every layer of the other.

    A measure that is undefined for some layers (too few items for CCA, unequal widths for neurons)
    is left out there, with one warning that says why. RSA uses at most 1000 items, evenly spaced.

    Args:
        Xs: L layers, each [items, d].
        Ys: M layers, each [items, e], of the same items.
        measures: ``"cka"`` and names of ``MEASURES``.

    Yields:
        (layer, other layer, measure, value).
    """
    for name in measures:
        if name == CKA:
            values = cka_matrix(Xs, Ys)
            yield from ((i, j, CKA, float(v)) for (i, j), v in np.ndenumerate(values))
        else:
            yield from _measured(name, Xs, Ys)


def _measured(name: str, Xs: Sequence[Matrix], Ys: Sequence[Matrix]) -> Iterator[Cell]:
    items = np.arange(len(Xs[0]))
    if name == "rsa" and len(items) > _RSA_ITEMS:
        items = np.linspace(0, len(items) - 1, _RSA_ITEMS).astype(int)
    refused: list[str] = []
    for i, X in enumerate(Xs):
        for j, Y in enumerate(Ys):
            try:
                yield i, j, name, MEASURES[name](X[items], Y[items])
            except XlingError as error:
                refused.append(str(error))
    if refused:
        warnings.warn(
            f"{name}: left out for {len(refused)} of {len(Xs) * len(Ys)} pairs of layers "
            f"({refused[0]})",
            stacklevel=2,
        )


def correlation(x: Any, y: Any, resamples: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Pearson's correlation of two scores over points (layers, language pairs), with an interval.

    Args:
        x: n scores, e.g. CKA.
        y: n scores of the same points, e.g. retrieval.
        resamples: Resamples of a percentile bootstrap over points; those without variance are
            skipped.
        seed: The draws depend only on it and on n.

    Returns:
        The correlation, and the ends of its 95 % interval (NaN with no resamples). Layers of one
        model are not independent, so across few layers the interval is a rough guide.

    Raises:
        XlingError: for unequal lengths, fewer than three points, NaN, or a score without variance.

    Example:
        >>> correlation([0.1, 0.5, 0.6, 0.9], [0.2, 0.6, 0.7, 1.0])[0].round(6)
        np.float64(1.0)
    """
    points = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)], axis=1)
    if points.ndim != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise XlingError(
            f"a correlation over points of shape {points.shape}: expected two lists of at least "
            "three finite scores of the same points"
        )
    value = pearson(points[None])[0]
    if np.isnan(value):
        raise XlingError("all points have the same score on a side: no correlation")
    drawn = generator(seed, "bootstrap", len(points)).integers(
        len(points), size=(resamples, len(points))
    )
    values = pearson(points[drawn])
    values = values[~np.isnan(values)]
    if not len(values):
        return value, float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return value, float(low), float(high)


def pearson(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations [R] of point sets [R, n, 2]; NaN without variance."""
    centred = points - points.mean(axis=1, keepdims=True)
    # Identical points differ from their mean only by rounding.
    spread = (np.abs(centred) > 1e-12).any(axis=1).all(axis=1)
    products = (centred[:, :, 0] * centred[:, :, 1]).sum(axis=1)
    scale = np.sqrt(np.square(centred).sum(axis=1).prod(axis=1))
    return np.where(spread, products / np.where(spread, scale, 1.0), np.nan)
