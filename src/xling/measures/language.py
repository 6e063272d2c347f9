"""What vectors say about their language: which directions encode it, and what is left without."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix
from xling.measures.tiles import TIES

_PENALTY = 1e-3  # of the ridge regression, in units of the mean variance of a dimension


def language_subspace(vectors: Sequence[Any], rank: int) -> NDArray[np.float64]:
    """The directions in which languages differ (LSAR: Xie et al. 2022, algorithm 1).

    The means of L languages are written as μ 1ᵀ + M Γᵀ (the decomposition of Piratla et al. 2020).
    μ is what all of them share; M has rank r and is orthogonal to μ. M is what
    :func:`remove_subspace` removes. This needs no translations, only the languages of the vectors.

    Args:
        vectors: For each language an array [N, d] of its sentences; the N may differ.
        rank: r, at most L - 1; with a smaller rank the languages' means stay partly apart.

    Returns:
        Array [d, r] with orthonormal columns, the strongest first; fewer where the means differ in
        fewer directions (none, if they are the same).

    Raises:
        XlingError: for fewer than two languages, unequal widths, a rank out of range, NaN or
            infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> basis = language_subspace([X, X + [0, 0, 5, 0]], rank=1)
        >>> abs(basis[:, 0]).argmax()
        np.int64(2)
    """
    sides = _checked(vectors)
    if not 0 <= rank < len(sides):
        raise XlingError(
            f"rank {rank}: expected 0 to {len(sides) - 1}, since {len(sides)} languages differ in "
            "no more directions"
        )
    means = np.stack([side.mean(axis=0, dtype=np.float64) for side in sides], axis=1)
    middle = means.mean(axis=1, keepdims=True)
    U, singular, Vt = np.linalg.svd(means - middle, full_matrices=False)
    # Means of identical languages differ by rounding; float32 vectors are exact to 1e-7.
    limit = 1e-6 * np.abs(means).max()
    rank = min(rank, int(np.count_nonzero(singular > limit)))
    if not rank:
        return U[:, :0]
    low = middle + (U[:, :rank] * singular[:rank]) @ Vt[:rank]
    # The shared part has the same product with every mean. Where no vector does (the means lie
    # around the origin), pinv finds none, and the shared part is zero.
    shared = np.linalg.pinv(low.T, rcond=1e-9) @ np.ones(len(sides))
    norm = shared @ shared
    exact = np.allclose(low.T @ shared, 1, atol=1e-6)
    centre = (shared / norm)[:, None] if exact and norm else middle
    return np.asarray(np.linalg.svd(low - centre, full_matrices=False)[0][:, :rank])


def remove_subspace(X: Any, basis: NDArray[np.float64]) -> Matrix:
    """Project rows onto the orthogonal complement of a subspace: x - x B Bᵀ.

    Args:
        X: numpy array or torch tensor [n, d].
        basis: B, array [d, r] with orthonormal columns.

    Returns:
        Array [n, d]; float32 stays float32. Rows keep their offset outside of the subspace.

    Raises:
        XlingError: for a different width, NaN or infinity.

    Example:
        >>> remove_subspace(np.array([[1.0, 2.0]]), np.array([[0.0], [1.0]]))
        array([[1., 0.]])
    """
    X = as_matrix(X, "X")
    if X.shape[1] != len(basis):
        raise XlingError(f"X has width {X.shape[1]} and the subspace {len(basis)}")
    basis = basis.astype(X.dtype)
    rest: Matrix = X - (X @ basis) @ basis.T
    return rest


def language_identity(vectors: Sequence[Any], folds: int = 5) -> NDArray[np.float64]:
    """Can a linear classifier tell the language of a vector?

    Ridge regression onto one indicator for each language, with an intercept; the predicted language
    is the one with the largest output. Line i of all languages is tested by a classifier that was
    fitted without line i of any, so that it cannot know what the line means. Fold f has the lines i
    with i mod ``folds`` = f. Guessing scores 1 / L; languages with the same output share the hit.

    Beyond the input this takes the memory of one language in float64 and (folds + 1) d² numbers.

    Args:
        vectors: For each of L languages an array [N, d]; row i of all means the same.
        folds: Number of parts; each is held out once.

    Returns:
        Array [L, N] in [0, 1].

    Raises:
        XlingError: for fewer than two languages, unequal shapes, fewer lines than folds, NaN or
            infinity.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> language_identity([X, X + 9]).mean(), language_identity([X, X]).mean()
        (np.float64(1.0), np.float64(0.5))
    """
    sides = _checked(vectors)
    lines = {len(side) for side in sides}
    if len(lines) > 1 or not 2 <= folds <= min(lines):
        raise XlingError(
            f"{sorted(lines)} lines and {folds} folds: expected the same lines in every language, "
            "and 2 folds or more, with a line for each"
        )
    n, width = sides[0].shape
    offset = sides[0][0].astype(np.float64)
    scale = max(float(np.abs(side - offset).max()) for side in sides) or 1.0
    products = np.zeros((folds, width + 1, width + 1))
    sums = np.zeros((folds, len(sides), width + 1))
    for language, side in enumerate(sides):
        rows = _with_one(side, offset, scale)
        for fold in range(folds):
            part = rows[fold::folds]
            products[fold] += part.T @ part
            sums[fold, language] = part.sum(axis=0)
    hits = np.zeros((len(sides), n))
    weights = [_ridge(products, sums, fold) for fold in range(folds)]
    for language, side in enumerate(sides):
        rows = _with_one(side, offset, scale)
        for fold in range(folds):
            output = rows[fold::folds] @ weights[fold]
            best = output >= output.max(axis=1, keepdims=True) - 1e3 * TIES["float64"]
            hits[language, fold::folds] = best[:, language] / best.sum(axis=1)
    return hits


def _ridge(
    products: NDArray[np.float64], sums: NDArray[np.float64], fold: int
) -> NDArray[np.float64]:
    """Weights [d + 1, L] fitted on all folds but one; the last row is the intercept."""
    gram = products.sum(axis=0) - products[fold]
    targets = (sums.sum(axis=0) - sums[fold]).T
    n, total = gram[-1, -1], gram[-1, :-1]
    mean = total / n
    covariance = gram[:-1, :-1] / n - np.outer(mean, mean)
    penalty = _PENALTY * (np.trace(covariance) / len(mean)) or 1.0
    cross = targets[:-1] / n - np.outer(mean, targets[-1] / n)
    inner = np.linalg.solve(covariance + penalty * np.eye(len(mean)), cross)
    return np.vstack([inner, targets[-1] / n - mean @ inner])


def _with_one(side: Matrix, offset: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Rows in float64, shifted and scaled for precision, and a last column of ones."""
    rows = np.ones((len(side), side.shape[1] + 1))
    rows[:, :-1] = (side - offset) / scale
    return rows


def _checked(vectors: Sequence[Any]) -> list[Matrix]:
    sides = [as_matrix(side, f"vectors[{i}]") for i, side in enumerate(vectors)]
    if len(sides) < 2 or len({side.shape[1] for side in sides}) > 1:
        raise XlingError(
            f"vectors have shapes {[side.shape for side in sides]}: expected at least two "
            "languages, in one space"
        )
    return sides
