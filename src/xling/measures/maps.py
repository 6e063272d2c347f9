"""Linear maps between two spaces, learnt from pairs of vectors: rotations and regressions.

A regression may stretch as well as rotate. With enough clean pairs that fits better than a
rotation; with noise a rotation generalises better, since it has half the freedom and keeps all
distances.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, check_paired, unit_rows
from xling.measures.translation import mutual_pairs
from xling.stored import Stored


class LinearMap(Stored, ABC):
    """A linear map from a source space to a target space, learnt from pairs of vectors.

    No map has an intercept. To bring the means of two languages together, normalise each side
    first (:class:`xling.measures.Normalizer`).

    Attributes:
        matrix_: float64 array [d, e]; ``transform(X)`` is ``X @ matrix_``. Papers that write
            vectors as columns (W x) call its transpose W.
    """

    _learnt: ClassVar[tuple[str, ...]] = ("matrix_",)
    matrix_: NDArray[np.float64]

    @abstractmethod
    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row."""

    def transform(self, X: Any) -> Matrix:
        """Map rows [m, d] of the source space into the target space [m, e].

        Returns:
            numpy array; float32 stays float32.

        Raises:
            XlingError: before ``fit``, for a different width, NaN or infinity.
        """
        self._check_fitted()
        X = as_matrix(X, "X")
        if X.shape[1] != len(self.matrix_):
            raise XlingError(
                f"X has width {X.shape[1]}: the map was fitted on width {len(self.matrix_)}"
            )
        mapped: Matrix = X @ self.matrix_.astype(X.dtype)
        return mapped

    def score(self, X: Any, Y: Any) -> float:
        """Mean cosine of mapped rows with their partners, in [-1, 1].

        Args:
            X: Source vectors [n, d].
            Y: Target vectors [n, e] of the same items.

        Raises:
            XlingError: for unpaired rows, or a row that is zero or is mapped to zero.
        """
        mapped, Y = self.transform(X), as_matrix(Y, "Y")
        check_paired(mapped, Y, ("X", "Y"))
        if mapped.shape[1] != Y.shape[1]:
            raise XlingError(f"Y has width {Y.shape[1]}: the map gives width {mapped.shape[1]}")
        cosines = np.einsum("nd,nd->n", unit_rows(mapped, "mapped X"), unit_rows(Y, "Y"))
        return float(cosines.mean(dtype=np.float64))


class Procrustes(LinearMap):
    """The rotation (or reflection) that brings paired rows closest to each other.

    Conneau et al. 2020, section 5.1, with vectors as columns: W* = argmin ||W X - Y||_F over
    orthogonal W, which is U Vᵀ for U Σ Vᵀ = SVD(Y Xᵀ). Here vectors are rows, and ``matrix_`` is
    W*ᵀ.

    **Different widths**: the narrower side is padded with zeros. So ``matrix_`` [d, e] has
    orthonormal rows if d < e (the source space is embedded, lengths are kept), and orthonormal
    columns if d > e (what the target space has no room for is dropped, lengths shrink).

    **Fewer pairs than dimensions** do not determine the map outside the span of the pairs and are
    refused, unless ``underdetermined=True``: then the rest is some orthogonal completion.

    Args:
        underdetermined: Accept fewer pairs than min(d, e).

    Attributes:
        matrix_: float64 array [d, e], orthogonal to rounding.
        rank_: Number of directions in which the pairs determine the map. It is below min(d, e) if
            pairs are few, repeated or confined to a subspace; the rest of the map is then arbitrary
            (but reproducible).

    Example:
        >>> random = np.random.default_rng(0)
        >>> X = random.normal(size=(50, 4))
        >>> rotation = np.linalg.qr(random.normal(size=(4, 4)))[0]
        >>> fitted = Procrustes().fit(X, X @ rotation)
        >>> bool(np.allclose(fitted.transform(X), X @ rotation))
        True
        >>> round(fitted.score(X, X @ rotation), 6)
        1.0
    """

    _settings: ClassVar[tuple[str, ...]] = ("underdetermined",)
    _learnt: ClassVar[tuple[str, ...]] = ("matrix_", "rank_")
    rank_: NDArray[np.int64]

    def __init__(self, underdetermined: bool = False) -> None:
        self.underdetermined = underdetermined

    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from paired rows.

        Args:
            X: numpy array or torch tensor [n, d].
            Y: numpy array or torch tensor [n, e]; row i is the partner of row i of ``X``.

        Raises:
            XlingError: for unpaired rows, NaN or infinity, and for n < min(d, e) unless
                ``underdetermined``.
        """
        X, Y = paired(X, Y)
        narrow = min(X.shape[1], Y.shape[1])
        if len(X) < narrow and not self.underdetermined:
            raise XlingError(
                f"{len(X)} pairs do not determine a rotation of {narrow} dimensions: give at least "
                f"{narrow} pairs, or use ridge regression (--map ridge; in Python Ridge, or "
                "Procrustes(underdetermined=True) to complete the rotation arbitrarily)"
            )
        self.matrix_, singular = nearest_rotation(_to_unit(X).T @ _to_unit(Y))
        limit = singular[0] * max(X.shape[1], Y.shape[1]) * np.finfo(np.float64).eps
        self.rank_ = np.asarray(np.count_nonzero(singular > limit))
        return self


class RefinedProcrustes(LinearMap):
    """Procrustes refined with mutual CSLS neighbours (Conneau et al. 2018, section 2.2).

    It starts from the map of the seed pairs. Each round takes all words that are each other's best
    translation by CSLS, adds them to the seed pairs, and fits Procrustes again, until the pairs no
    longer change or ``rounds`` are done. There may be fewer seeds than dimensions (the first map is
    then completed arbitrarily). With very few or wrong seeds it settles on a wrong map: check
    held-out pairs.

    Args:
        rounds: Maximum number of refits. 0 is plain Procrustes.
        k: Number of neighbours in CSLS.

    Attributes:
        matrix_: float64 array [d, e].
        rank_: As in :class:`Procrustes`.
        pairs_: int64 array [pairs, 2]: rows of the vocabularies that the last round paired.
        rounds_: Number of refits done.

    Example:
        >>> random = np.random.default_rng(0)
        >>> X = random.normal(size=(200, 10))
        >>> rotation = np.linalg.qr(random.normal(size=(10, 10)))[0]
        >>> Y = X @ rotation + 0.1 * random.normal(size=X.shape)
        >>> seed = Procrustes().fit(X[:12], Y[:12])
        >>> refined = RefinedProcrustes().fit(X[:12], Y[:12], X, Y)
        >>> refined.score(X[12:], Y[12:]) > seed.score(X[12:], Y[12:])
        True
    """

    _settings: ClassVar[tuple[str, ...]] = ("rounds", "k")
    _learnt: ClassVar[tuple[str, ...]] = ("matrix_", "rank_", "pairs_", "rounds_")
    rank_: NDArray[np.int64]
    pairs_: NDArray[np.int64]
    rounds_: NDArray[np.int64]

    def __init__(self, rounds: int = 5, k: int = 10) -> None:
        if rounds < 0 or k < 1:
            raise XlingError(f"rounds {rounds} and k {k}: expected rounds >= 0 and k >= 1")
        self.rounds = rounds
        self.k = k

    def fit(self, X: Any, Y: Any, source: Any = None, target: Any = None) -> Self:
        """Learn the map from seed pairs and two vocabularies.

        Args:
            X: Seed vectors [n, d].
            Y: Their partners [n, e].
            source: Vocabulary [v, d] to look for more pairs in; frequent words work best.
                The seeds themselves if not given.
            target: Vocabulary [w, e]; the seeds' partners if not given.

        Raises:
            XlingError: as :meth:`Procrustes.fit` (but for n), and for zero rows in a vocabulary.
        """
        source = X if source is None else source
        target = Y if target is None else target
        X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
        source, target = as_matrix(source, "source"), as_matrix(target, "target")
        for seeds, vocabulary, names in ((X, source, "X and source"), (Y, target, "Y and target")):
            if seeds.shape[1] != vocabulary.shape[1]:
                raise XlingError(
                    f"{names} have widths {seeds.shape[1]} and {vocabulary.shape[1]}: "
                    "expected vectors of one space"
                )
        rotation = Procrustes(underdetermined=True).fit(X, Y)
        self.pairs_ = np.empty((0, 2), dtype=np.int64)
        done = 0
        for _ in range(self.rounds):
            pairs = mutual_pairs(rotation.transform(source), target, "csls", self.k)
            if np.array_equal(pairs, self.pairs_):
                break
            self.pairs_ = pairs
            done += 1
            rotation.fit(np.vstack([X, source[pairs[:, 0]]]), np.vstack([Y, target[pairs[:, 1]]]))
        self.matrix_, self.rank_ = rotation.matrix_, rotation.rank_
        self.rounds_ = np.asarray(done)
        return self


class LeastSquares(LinearMap):
    """The linear map M that minimises ||X M - Y||_F; no intercept, any two widths.

    If the rows of ``X`` do not span its space (constant, repeated or dependent columns), the
    solution of least norm is taken: directions absent from the pairs are mapped to zero.

    Attributes:
        matrix_: float64 array [d, e].

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> fitted = LeastSquares().fit(X, X @ [[2.0, 0], [0, 1], [1, 1]])
        >>> fitted.matrix_.round(6) + 0.0
        array([[2., 0.],
               [0., 1.],
               [1., 1.]])
    """

    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row.

        Raises:
            XlingError: for unpaired rows, NaN or infinity, and for n < d: every such fit is
                perfect on the pairs and says nothing about others.
        """
        X, Y = paired(X, Y)
        if len(X) < X.shape[1]:
            raise XlingError(
                f"{len(X)} pairs do not determine a linear map of {X.shape[1]} dimensions: give at "
                f"least {X.shape[1]} pairs, or use Ridge, which works with any number"
            )
        self.matrix_ = np.linalg.lstsq(X, Y, rcond=None)[0]
        return self


class Ridge(LinearMap):
    """The linear map M that minimises ||X M - Y||_F² + penalty ||M||_F²; no intercept.

    Defined for any number of pairs (Hoerl and Kennard 1970).

    Args:
        penalty: Positive; in units of squared lengths in ``X`` summed over pairs, so its effect
            depends on normalisation and on n.

    Attributes:
        matrix_: float64 array [d, e].

    Example:
        >>> X = np.eye(3)
        >>> Ridge(penalty=1.0).fit(X, X).matrix_
        array([[0.5, 0. , 0. ],
               [0. , 0.5, 0. ],
               [0. , 0. , 0.5]])
    """

    _settings: ClassVar[tuple[str, ...]] = ("penalty",)

    def __init__(self, penalty: float = 1.0) -> None:
        if not penalty > 0:
            raise XlingError(f"penalty {penalty}: must be positive; without one use LeastSquares")
        self.penalty = penalty

    def fit(self, X: Any, Y: Any) -> Self:
        """Learn the map from ``X`` [n, d] to ``Y`` [n, e], paired by row.

        Raises:
            XlingError: for unpaired rows, NaN or infinity.
        """
        X, Y = paired(X, Y)
        # By singular values, since XᵀX would square the condition number.
        U, singular, Vt = np.linalg.svd(X, full_matrices=False)
        shrunk = singular / (singular**2 + self.penalty)
        self.matrix_ = (Vt.T * shrunk) @ (U.T @ Y)
        return self


def nearest_rotation(
    product: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the solution of Procrustes from XᵀY [d, e], and the singular values."""
    U, singular, Vt = np.linalg.svd(product, full_matrices=False)
    return U @ Vt, singular


def paired(X: Any, Y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return training pairs as finite float64 matrices with equally many rows.

    Raises:
        XlingError: for unequal numbers of rows, NaN or infinity.
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    check_paired(X, Y, ("X", "Y"))
    return X.astype(np.float64), Y.astype(np.float64)


def _to_unit(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the largest entry to 1 (the map does not depend on scale): products stay finite."""
    largest = np.abs(X).max()
    scaled: NDArray[np.float64] = X / largest if largest else X
    return scaled
