"""Conditional categorical distributions, drawn in bulk.

One `Choices` holds, for every row (a topic, an event's role, a class, ...), a list of
items with weights. Drawing for a million rows is one ``searchsorted``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Choices:
    """A categorical distribution over items for each row.

    Args:
        items: For each row, the items (integers) that can be chosen.
        weights: For each row, as many positive weights (any scale).
    """

    def __init__(self, items: Sequence[Ints], weights: Sequence[Floats]) -> None:
        self.items: Ints = np.concatenate([np.asarray(row, dtype=np.int64) for row in items])
        steps = []
        for number, row in enumerate(weights):
            share = np.cumsum(row, dtype=np.float64)
            share /= share[-1]
            share[-1] = 1.0
            steps.append(number + share)
        # Row r occupies the interval (r, r + 1], so that one search serves all rows.
        self._steps: Floats = np.concatenate(steps)

    def draw(self, rows: Ints, uniforms: Floats) -> Ints:
        """Draw one item for each row.

        Args:
            rows: Row numbers, shape [N].
            uniforms: Uniform draws from [0, 1), shape [N].

        Returns:
            Items, shape [N].
        """
        # Keeps row + uniform below the next row where the sum would round up to it.
        below = rows + uniforms * (1 - 1e-9)
        return self.items[np.searchsorted(self._steps, below, side="right")]
