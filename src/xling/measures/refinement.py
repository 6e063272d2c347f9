"""Iterative Procrustes: the map finds more pairs, and the pairs give a better map."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import as_matrix
from xling.measures.linear_map import LinearMap
from xling.measures.procrustes import Procrustes
from xling.measures.translation import mutual_pairs


class RefinedProcrustes(LinearMap):
    """Procrustes refined with mutual CSLS neighbours (Conneau et al. 2018, section 2.2).

    From the map of the seed pairs on, each round takes all words that are each other's best
    translation by CSLS, adds them to the seed pairs, and fits Procrustes again; until the pairs no
    longer change, or ``rounds`` are done. Seeds may be fewer than dimensions (the first map is
    then completed arbitrarily), yet with very few or wrong ones it settles on a wrong map: look
    at held-out pairs.

    Args:
        rounds: Most refits. 0 is plain Procrustes.
        k: Neighbours that CSLS looks at.

    Attributes:
        matrix_: float64 array [d, e].
        rank_: As in :class:`Procrustes`.
        pairs_: int64 array [pairs, 2]: rows of the vocabularies that the last round paired.
        rounds_: How many refits were done.

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
            source: Vocabulary [v, d] to look for more pairs in; the frequent words serve best.
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
