"""How well translations are found: the nearest row of the other language by several similarities.

Ties and zero vectors count as :mod:`xling.measures.ranking` says.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.measures.arrays import Flags, as_matrix, check_paired, unit_rows, with_empty
from xling.measures.ranking import Ranking, rank_both, rank_in_single
from xling.measures.scores import Similarity, scores_between
from xling.measures.search import Largest, top_k_of_both
from xling.measures.tiles import Scores


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Whether the translation of each row is its nearest neighbour.

    Attributes:
        rankings: Where the translations of the rows of X rank among the rows of Y, and the other
            way round.
    """

    rankings: tuple[Ranking, Ranking]

    @property
    def forward_hits(self) -> NDArray[np.float64]:
        """Array [n] in [0, 1]: row i of X found its translation among the rows of Y."""
        return self.rankings[0].hits(1)

    @property
    def backward_hits(self) -> NDArray[np.float64]:
        """Array [n] in [0, 1]: row i of Y found its translation among the rows of X."""
        return self.rankings[1].hits(1)

    @property
    def hits(self) -> NDArray[np.float64]:
        """Array [n]: the mean of both directions."""
        return np.asarray((self.forward_hits + self.backward_hits) / 2)

    @property
    def forward(self) -> float:
        """Precision@1 from X to Y."""
        return self.rankings[0].precision()

    @property
    def backward(self) -> float:
        """Precision@1 from Y to X."""
        return self.rankings[1].precision()

    @property
    def mean(self) -> float:
        """Mean of both directions."""
        return (self.forward + self.backward) / 2

    @property
    def chance(self) -> float:
        """Precision@1 of a guess: 1 / n."""
        return 1 / len(self.rankings[0].queries)

    @property
    def strict(self) -> Flags:
        """Bool array [n]: pair i scores higher than any other pair with one of its rows."""
        alone = [(ranking.better == 0) & (ranking.tied == 1) for ranking in self.rankings]
        return np.asarray(alone[0] & alone[1])


class PairSearch:
    """Retrieval between two sides of translations, by several similarities of the same cosines.

    The cosines are computed once, if they are few enough to keep (2000 lines against 2000).

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        centre: As in :func:`precision_at_1`.
        device: As in :func:`precision_at_1`.

    Raises:
        XlingError: as :func:`precision_at_1`.
    """

    def __init__(self, X: Any, Y: Any, centre: bool = False, device: Any = None) -> None:
        X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
        check_paired(X, Y, ("X", "Y"))
        (x, empty_x), (y, empty_y) = with_empty(X, centre), with_empty(Y, centre)
        self._sides = x.astype(np.float64), y.astype(np.float64)
        self._empty, self._device = (empty_x, empty_y), device
        self._nearest: list[Largest] = []

    @property
    def _units(self) -> list[NDArray[np.float64]]:
        names = zip(self._sides, "XY", strict=True)
        return [np.asarray(unit_rows(side, name, zero_rows=True)) for side, name in names]

    @cached_property
    def cosines(self) -> Scores:
        """Cosines of all rows of X with all rows of Y, in float64."""
        return scores_between(*self._sides, "cosine", 1, self._empty, self._device)

    def nearest(self, count: int) -> list[Largest]:
        """At least the ``count`` largest cosines of every row of X, and of every row of Y."""
        count = min(count, len(self._sides[0]))
        if not self._nearest or self._nearest[0][0].shape[1] < count:
            self._nearest = top_k_of_both(self.cosines, count)
        return self._nearest

    def by(self, similarity: Similarity = "cosine", k: int = 1) -> Retrieval:
        """Retrieve by a similarity with k neighbours.

        Raises:
            XlingError: as :func:`csls_hits` and :func:`margin_hits`.
        """
        if similarity == "cosine":
            if "cosines" not in vars(self):
                rows = np.arange(len(self._sides[0]))
                found = rank_in_single(self._units, rows, self._empty, self._device, both=True)
                if found is not None:
                    forward, backward = found
                    return Retrieval((forward, backward))
            return Retrieval(rank_both(self.cosines))
        scores = scores_between(
            *self._sides,
            similarity,
            k,
            self._empty,
            self._device,
            self.cosines.held,
            self.nearest(k) if k > 0 else None,
        )
        return Retrieval(rank_both(scores))


def precision_at_1(X: Any, Y: Any, centre: bool = False, device: Any = None) -> Retrieval:
    """Retrieve row i of Y with row i of X by cosine, and the other way round.

    Cosines are computed in float64 (once for both directions, a tile at a time); those closer than
    1e-12 are ties. Beyond the input this takes the memory of two float64 copies of each side, and
    tens of megabytes.

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        centre: Subtract each side's own mean first, which removes what all sentences of a language
            have in common. Zero rows are left out of the mean and stay zero; a row equal to the
            mean has cosine 0 with all others.
        device: A torch device to compute on, such as ``"cuda"``; numpy is used if not given.

    Raises:
        XlingError: for unequal shapes, NaN or infinity.

    Example:
        >>> precision_at_1(np.eye(3), np.eye(3)[[0, 2, 1]]).forward_hits
        array([1., 0., 0.])
    """
    return PairSearch(X, Y, centre, device).by()


def csls_hits(X: Any, Y: Any, k: int = 10, centre: bool = False, device: Any = None) -> Retrieval:
    """Retrieve as :func:`precision_at_1` does, by CSLS (Conneau et al. 2018, section 2.3).

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        k: Number of neighbours in CSLS.
        centre: As in :func:`precision_at_1`.
        device: As in :func:`precision_at_1`.

    Raises:
        XlingError: as :func:`precision_at_1`, and for k < 1.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(30, 16))
        >>> csls_hits(X, X).mean
        1.0
    """
    return PairSearch(X, Y, centre, device).by("csls", k)


def margin_hits(X: Any, Y: Any, k: int = 4, centre: bool = False, device: Any = None) -> Retrieval:
    """Retrieve as :func:`precision_at_1` does, by the margin ratio (Artetxe and Schwenk 2019).

    Args:
        X: numpy array or torch tensor [n, d].
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        k: Number of neighbours in the margin; the paper takes 4.
        centre: As in :func:`precision_at_1`.
        device: As in :func:`precision_at_1`.

    Raises:
        XlingError: as :func:`csls_hits`, and where the mean cosines of neighbours are not positive,
            so that a ratio is meaningless.
    """
    return PairSearch(X, Y, centre, device).by("margin", k)


def mexa(X: Any, Y: Any, device: Any = None) -> NDArray[np.float64]:
    """Which sentences MEXA counts as aligned (Kargaran et al. 2024).

    Sentence i is aligned if its cosine with its translation is higher than its cosine with every
    other sentence of the other language, and than the translation's cosine with every other
    sentence of its own language: c_ii > c_ij and c_ii > c_ji for all j ≠ i. The score is the mean.
    An equal cosine (to 1e-12, in float64) is not higher, so vectors that are all the same score 0.

    Args:
        X: numpy array or torch tensor [n, d]; the paper pools tokens with weights that grow with
            their position, or takes the last token.
        Y: numpy array or torch tensor [n, d]; row i is the translation of row i of ``X``.
        device: As in :func:`precision_at_1`.

    Returns:
        Array [n] of 0 and 1. Zero rows are not aligned.

    Raises:
        XlingError: as :func:`precision_at_1`.

    Example:
        >>> mexa(np.eye(3), np.eye(3)[[0, 2, 1]])
        array([1., 0., 0.])
    """
    return precision_at_1(X, Y, device=device).strict.astype(np.float64)
