"""Scores of an audit: their names, and how hits of lines become rows of the table."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures import bootstrap_interval
from xling.results import Key, Score

Floats = NDArray[np.float64]
FREE = "anchor-free-"  # prefix of a form of vectors; the other language of the pair follows
PLAIN, CENTRED, CSLS, MARGIN = "p@1", "p@1-centred", "p@1-csls", "p@1-margin"
SUBSPACE, ROTATED = "p@1-subspace", "p@1-rotated"
RETRIEVAL, POOLED, MEXA = "retrieval", "retrieval-pooled", "mexa"
CEILING, ITSELF = "ceiling", "itself"
NEAREST = 10  # k of CSLS and of hubness
_SIDE_BY_SIDE = 8  # layers at a time, each of which takes some 100 MB for 2000 lines


@dataclass
class Found:
    """The measurements of one model in one condition.

    Attributes:
        scores: Rows of the table.
        hits: For each probe, metric and language (``""``: all together), hits in [0, 1] of every
            line at every layer, float64 [layers, N].
    """

    scores: list[Score] = field(default_factory=list)
    hits: dict[tuple[str, str, str], Floats] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Add the content of another."""
        self.scores += other.scores
        self.hits |= other.hits


class Hits:
    """Hits per line of several metrics and layers, for means and intervals."""

    def __init__(self, lines: int, whole: NDArray[np.bool_]) -> None:
        self._lines, self._whole = lines, whole
        self._of: dict[tuple[Key, int], Floats] = {}

    def put(self, key: Key, layer: int, hits: Floats) -> None:
        """Store the hits of the lines with tokens; the other lines are misses."""
        of_all = np.zeros(self._lines)
        of_all[self._whole] = hits
        self._of[key, layer] = of_all

    def rows(self, resamples: int) -> Iterator[Score]:
        """Yield means with 95 % intervals, with the same draws for all."""
        if not self._of:
            return
        hits = np.stack(list(self._of.values()))
        low, high = bootstrap_interval(hits, 0, resamples)
        for number, (key, layer) in enumerate(self._of):
            mean = float(hits[number].mean())
            ends = float(low[number]), float(high[number])
            yield key._replace(layer=layer).score(mean, *ends, hits.shape[1])

    def by_layer(self, key: Key) -> Floats:
        """Return the hits of one metric at every layer that has it; NaN elsewhere."""
        depth = 1 + max(layer for _, layer in self._of)
        found = np.full((depth, self._lines), np.nan)
        for (of, layer), hits in self._of.items():
            if of == key:
                found[layer] = hits
        return found

    @property
    def keys(self) -> list[Key]:
        """The keys of everything measured, at any layer."""
        return list(dict.fromkeys(key for key, _ in self._of))


def threads_for(device: Any) -> int:
    """Number of layers to measure in parallel: torch's threads, at most 8; one on a device."""
    import torch

    return min(torch.get_num_threads(), _SIDE_BY_SIDE) if device is None else 1
