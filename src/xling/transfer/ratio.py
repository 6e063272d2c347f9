"""Quotients of counts, where nothing of nothing is a score of 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divide elementwise, with 0 for 0 / 0."""
    numerator, denominator = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
