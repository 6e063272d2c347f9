"""Orthogonal Procrustes (Schönemann 1966; Conneau et al. 2020, section 5.1)."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.linear_map import LinearMap, paired


class Procrustes(LinearMap):
    """The rotation (or reflection) that brings paired rows closest to each other.

    Conneau et al. 2020, section 5.1, with vectors as columns: W* = argmin ||W X - Y||_F over
    orthogonal W, which is U Vᵀ for U Σ Vᵀ = SVD(Y Xᵀ). Here vectors are rows, and ``matrix_`` is
    W*ᵀ.

    **Different widths**: the narrower side is padded with zeros. So ``matrix_`` [d, e] has
    orthonormal rows if d < e (the source space is embedded, lengths are kept), and orthonormal
    columns if d > e (what the target space has no room for is dropped, lengths shrink).

    **Fewer pairs than dimensions** leave the map open outside the span of the pairs and are
    refused, unless ``underdetermined=True``: then the rest is some orthogonal completion.

    Args:
        underdetermined: Accept fewer pairs than min(d, e).

    Attributes:
        matrix_: float64 array [d, e], orthogonal to rounding.
        rank_: In how many directions the pairs determine the map; below min(d, e) where pairs are
            few, repeated or confined to a subspace, and the rest is arbitrary (but reproducible).

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
                f"{narrow} pairs, or accept an arbitrary completion with underdetermined=True"
            )
        U, singular, Vt = np.linalg.svd(_to_unit(X).T @ _to_unit(Y), full_matrices=False)
        self.matrix_ = U @ Vt
        limit = singular[0] * max(X.shape[1], Y.shape[1]) * np.finfo(np.float64).eps
        self.rank_ = np.asarray(np.count_nonzero(singular > limit))
        return self


def _to_unit(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the largest entry to 1 (the map does not depend on scale): products stay finite."""
    largest = np.abs(X).max()
    scaled: NDArray[np.float64] = X / largest if largest else X
    return scaled
