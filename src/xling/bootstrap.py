"""Bootstrap intervals of scores that are functions of sums over sentences.

Accuracy, span F1 and attachment scores are computed from counts that add up over sentences, so
resampling a test set is one matrix product: how often each sentence was drawn, times
the counts of each. Scores of the same sentences (layers, directions, settings, two models to
be subtracted) share the same draws, as further axes of ``counts``.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from xling.randomness import generator

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Counts = NDArray[np.int64] | NDArray[np.float64]  # [N, ...], or their sums over sentences
Ends = tuple[NDArray[np.float64], NDArray[np.float64]]

_DRAWS_AT_ONCE = 1 << 22
_PERCENTILES = [0.025, 0.975]  # of a 95 % interval


def interval(
    counts: NDArray[np.generic], statistic: Statistic, seed: int, resamples: int = 1000
) -> Ends:
    """95 % percentile interval of a score, by drawing sentences with replacement.

    Args:
        counts: Array [N, ...] of what each sentence contributes.
        statistic: Maps sums over sentences [R, ...] of R resamples to their scores [R, ...].
        seed: The draws are a pure function of it and of N.
        resamples: R, in all.

    Returns:
        Lower and upper ends, of the shape of one score (numpy scalars for a number).

    Example:
        The difference in LAS of two models on the same sentences, with counts [N, 2, 3]:
        ``interval(counts, lambda sums: las(sums)[:, 0] - las(sums)[:, 1], seed=0)``.
    """
    sentences = counts.shape[0]
    flat = _matrix(counts)
    scores = [
        statistic((drawn @ flat).reshape(len(drawn), *counts.shape[1:]))
        for drawn in _draws(sentences, seed, resamples)
    ]
    return _ends(np.concatenate(scores))


def bootstrap_interval(hits: NDArray[np.float64], seed: int, resamples: int = 1000) -> Ends:
    """95 % percentile interval of a mean, by resampling sentences with replacement.

    Args:
        hits: Array [..., n] of per-sentence scores. All leading entries (layers, directions) are
            resampled with the same draws, so their intervals may be compared pairwise.
        seed: The draws depend only on it and on n.
        resamples: Number of resamples.

    Returns:
        Lower and upper ends, arrays [...] (numpy scalars for a vector).
    """
    n = hits.shape[-1]
    return interval(np.moveaxis(hits, -1, 0), lambda sums: sums / n, seed, resamples)


def interval_over_seeds(
    counts: NDArray[np.generic], statistic: Statistic, seed: int, resamples: int = 1000
) -> Ends:
    """95 % percentile interval of a score's mean over training seeds.

    Each resample draws sentences and, independently, seeds: every seed was tested on the same
    sentences, so both are crossed, not nested (Owen 2007, "The pigeonhole bootstrap"). With S
    seeds the spread between seeds comes out too small by about (S - 1) / S of its variance, so
    with two or three the interval is a lower bound.

    Args:
        counts: Array [S, N, ...]: for each seed, what each sentence contributes.
        statistic: Maps sums over sentences [R, ...] to scores [R, ...]; the scores of the drawn
            seeds are averaged.
        seed: The draws are a pure function of it, of S and of N.
        resamples: R, in all.

    Returns:
        Lower and upper ends, of the shape of one score.
    """
    runs, sentences = counts.shape[:2]
    flats = [_matrix(run) for run in counts]
    choices = generator(seed, "bootstrap seeds", runs).integers(runs, size=(resamples, runs))
    weights = np.stack([(choices == run).mean(axis=1) for run in range(runs)])
    means, start = [], 0
    for drawn in _draws(sentences, seed, resamples):
        rows = slice(start, start + len(drawn))
        scores = [
            statistic((drawn @ flat).reshape(len(drawn), *counts.shape[2:])) for flat in flats
        ]
        means.append(np.einsum("sr,sr...->r...", weights[:, rows], np.stack(scores)))
        start += len(drawn)
    return _ends(np.concatenate(means))


def _matrix(counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return [N, everything else], in float64, where counts are exact."""
    return np.ascontiguousarray(counts.reshape(len(counts), -1), np.float64)


def _draws(sentences: int, seed: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each resample drew each sentence, arrays [some resamples, N]."""
    random = generator(seed, "bootstrap", sentences)
    step = max(1, _DRAWS_AT_ONCE // sentences)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = random.integers(sentences, size=(size, sentences))
        drawn += sentences * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * sentences)
        yield times.reshape(size, sentences).astype(np.float64)


def _ends(scores: NDArray[np.float64]) -> Ends:
    low, high = np.quantile(scores, _PERCENTILES, axis=0)
    return low, high


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """Divide elementwise, with 0 for 0 / 0."""
    numerator, denominator = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
