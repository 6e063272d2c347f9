"""Normalisation of vectors before an alignment (Conneau et al. 2020, section 5.1).

A rotation keeps lengths and the origin, so two spaces can be rotated onto each other only as far
as lengths and means agree. Iterative normalisation (Zhang et al. 2019, section 3) makes both agree:
every round gives all rows unit length, then subtracts their mean. Each time the second step changes
the lengths a little less.
"""

import warnings
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, unit_rows
from xling.stored import Stored

Method = Literal["none", "centre", "unit", "iterative"]


class Normalizer(Stored):
    """Normalisation learnt on one set of rows and applied to others.

    It learns only *means*: none for ``"none"`` and ``"unit"``, one for ``"centre"``, and for
    ``"iterative"`` one for each round. ``transform`` replays the rounds with the learnt means. The
    rows of ``fit`` come out with mean zero and unit length (to the tolerance). Any other row goes
    through the same function, on its own. Fit each language on its own rows.

    Args:
        method: ``"none"``; ``"centre"`` (mean zero); ``"unit"`` (every row of length 1);
            ``"iterative"`` (both, Zhang et al. 2019).
        tolerance: The iteration is stable when every row's length is within this of 1 just after
            the mean was subtracted, so that both properties hold at once.
        maximum_rounds: Rounds after which it stops with a ``RuntimeWarning``. Some data cannot be
            made stable: one direction that more than half of the rows share cannot be balanced.

    Attributes:
        means_: The learnt means, float64 array [rounds, d].
        spread_: The largest distance of a length from 1 after the last round (``"iterative"``).

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 8)) + 1
        >>> normalizer = Normalizer("iterative").fit(X[:80])
        >>> train, test = normalizer.transform(X[:80]), normalizer.transform(X[80:])
        >>> bool(abs(train.mean(axis=0)).max() < 1e-12), bool(abs(test.mean(axis=0)).max() < 1e-12)
        (True, False)
    """

    _settings: ClassVar[tuple[str, ...]] = ("method", "tolerance", "maximum_rounds")
    _learnt: ClassVar[tuple[str, ...]] = ("means_", "spread_")
    means_: NDArray[np.float64]
    spread_: NDArray[np.float64]

    def __init__(
        self, method: Method = "iterative", tolerance: float = 1e-5, maximum_rounds: int = 100
    ) -> None:
        if method not in get_args(Method):
            raise XlingError(f"normalisation {method!r}: expected one of {get_args(Method)}")
        if tolerance <= 0 or maximum_rounds < 1:
            raise XlingError(
                f"tolerance {tolerance} and maximum_rounds {maximum_rounds}: both must be positive"
            )
        self.method: Method = method
        self.tolerance = tolerance
        self.maximum_rounds = maximum_rounds

    def fit(self, X: Any, Y: Any = None) -> Self:
        """Learn the means of ``X`` [n, d]; ``Y`` is for scikit-learn's pipelines and not used.

        Raises:
            XlingError: for NaN or infinity; for a zero row where lengths are needed; and for
                ``"iterative"`` if all rows have the same direction.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, Y: Any = None) -> Matrix:
        """Learn the means of ``X`` [n, d] and return it normalised; see :meth:`fit`."""
        X = as_matrix(X, "X")
        self.spread_ = np.zeros(())
        if self.method == "centre":
            self.means_ = _mean(X)[None]
        elif self.method == "iterative":
            return self._iterate(X)
        else:
            self.means_ = np.zeros((0, X.shape[1]))
        return self.transform(X)

    def transform(self, X: Any) -> Matrix:
        """Normalise rows [m, d] with the means of ``fit``; float32 stays float32.

        Raises:
            XlingError: as :meth:`fit`, and for a different width.
        """
        self._check_fitted()
        found = as_matrix(X, "X")
        if found.shape[1] != self.means_.shape[1]:
            raise XlingError(
                f"X has width {found.shape[1]}: fitted on vectors of width {self.means_.shape[1]}"
            )
        if self.method == "none":
            return found.copy()
        if self.method == "unit":
            return unit_rows(found, "X")
        for mean in self.means_.astype(found.dtype):
            found = (unit_rows(found, "X") if self.method == "iterative" else found) - mean
        return found

    def _iterate(self, X: Matrix) -> Matrix:
        means: list[NDArray[np.float64]] = []
        spread = np.inf
        while spread > self.tolerance and len(means) < self.maximum_rounds:
            X = unit_rows(X, "X")
            means.append(_mean(X))
            X -= means[-1].astype(X.dtype)
            lengths = np.linalg.norm(X, axis=1)
            if lengths.max() <= 64 * np.finfo(X.dtype).eps:
                raise XlingError(
                    "all rows of X have the same direction: nothing is left without their mean"
                )
            spread = float(np.abs(lengths - 1).max())
        if spread > self.tolerance:
            warnings.warn(
                f"iterative normalisation is not stable after {len(means)} rounds: a row's length "
                f"is still {spread:.2g} away from 1 (tolerance {self.tolerance:g})",
                RuntimeWarning,
                stacklevel=4,
            )
        self.means_ = np.stack(means)
        self.spread_ = np.asarray(spread)
        return X


def _mean(X: Matrix) -> NDArray[np.float64]:
    """Mean row, exact for constant columns."""
    first = X[0].astype(np.float64)
    return np.asarray(first + (X - X[0]).mean(axis=0, dtype=np.float64))


def iterative_normalize(X: Any, tolerance: float = 1e-5, maximum_rounds: int = 100) -> Matrix:
    """Give rows unit length and mean zero at once (Zhang et al. 2019, section 3).

    Args:
        X: numpy array or torch tensor [n, d].
        tolerance: Stable when every length is within this of 1 after the mean was subtracted.
        maximum_rounds: Rounds after which a ``RuntimeWarning`` says that it is not stable.

    Returns:
        numpy array [n, d]. To apply the same normalisation to other rows, use :class:`Normalizer`.

    Raises:
        XlingError: for NaN or infinity, a zero row, or rows that all have the same direction.

    Example:
        >>> X = iterative_normalize(np.random.default_rng(0).normal(size=(100, 8)) + 3)
        >>> bool(abs(X.mean(axis=0)).max() < 1e-12)
        True
        >>> bool(abs(np.linalg.norm(X, axis=1) - 1).max() < 1e-5)
        True
    """
    return Normalizer("iterative", tolerance, maximum_rounds).fit_transform(X)
