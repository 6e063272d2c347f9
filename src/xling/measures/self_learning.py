"""A rotation learnt from two vocabularies, with a few seed pairs or none.

Conneau et al. 2020, section 5.1.

Rounds of dictionary induction and Procrustes, as in Artetxe et al. (2017, 2018): each round takes
the best translations under the previous round's map as its dictionary. Candidates are left out at
random, more of them at first, so that the search can recover from a poor start.
"""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xling.errors import XlingError
from xling.measures.arrays import Matrix, as_matrix, as_row_pairs, unit_rows
from xling.measures.maps import LinearMap, Procrustes
from xling.measures.scores import scores_between
from xling.measures.search import top_k_of_both
from xling.measures.translation import mutual_pairs
from xling.randomness import generator

_CANDIDATES = 10
_PATIENCE = 5
_TRUSTED = 0.5
_FIRST_KEPT, _GROWTH = 0.1, 2.0


class SelfLearning(LinearMap):
    """Procrustes from a small seed dictionary, or from none, by self-learning.

    Without seeds the first dictionary comes from the words' similarities within their own
    language: a word and its translation have about the same distribution of similarities to all
    others (Artetxe et al. 2018, section 3.2). That works only if the two spaces have a similar
    shape: comparable text, the same kind of model, both normalised
    (:class:`xling.measures.Normalizer`), and the frequent words first.

    **It can fail**, above all without seeds. It then finds a map that fits only the pairs it made
    up; these look consistent with each other, so no score on them shows the failure. The search is
    therefore run twice with different random draws: both runs find a true map, but wrong maps
    differ. ``agreement_`` is the share of pairs that both found; if it is below a half, a
    ``RuntimeWarning`` says that the map is not to be trusted. (On constructed spaces runs that
    failed agreed in 0.01 to 0.29 of their pairs, others in 0.58 to 1.) High agreement is no proof
    that the map is right: score held-out pairs if there are any.

    Args:
        cutoff: Number of rows of each side, from the first on, that are used for learning.
        rounds: Maximum number of rounds of each search.
        k: Number of neighbours in CSLS.
        seed: Seed of the draws that leave candidates out.

    Attributes:
        matrix_: float64 array [d, e].
        pairs_: int64 array [pairs, 2]: the words that are each other's best translation at the end.
        agreement_: Of all pairs that the two searches ended with, the share that both have (Jaccard
            index), in [0, 1].
        rounds_: Number of rounds of both searches together.

    Example:
        >>> random = np.random.default_rng(0)
        >>> X = random.normal(size=(300, 10)) * np.linspace(3, 1, 10)
        >>> order = random.permutation(300)
        >>> Y = (X @ np.linalg.qr(random.normal(size=(10, 10)))[0])[order]
        >>> found = SelfLearning().fit(X, Y)
        >>> float(np.mean(order[found.pairs_[:, 1]] == found.pairs_[:, 0])) > 0.9
        True
    """

    _settings: ClassVar[tuple[str, ...]] = ("cutoff", "rounds", "k", "seed")
    _learnt: ClassVar[tuple[str, ...]] = ("matrix_", "pairs_", "agreement_", "rounds_")
    pairs_: NDArray[np.int64]
    agreement_: NDArray[np.float64]
    rounds_: NDArray[np.int64]

    def __init__(self, cutoff: int = 4000, rounds: int = 200, k: int = 10, seed: int = 0) -> None:
        if cutoff < 2 or rounds < 1 or k < 1:
            raise XlingError(
                f"cutoff {cutoff}, rounds {rounds}, k {k}: expected at least two words, one round "
                "and one neighbour"
            )
        self.cutoff, self.rounds, self.k, self.seed = cutoff, rounds, k, seed

    def fit(self, X: Any, Y: Any, seeds: Any = None) -> Self:
        """Learn the map from ``X`` to ``Y``, whose rows are *not* paired.

        Args:
            X: Source vocabulary [n, d], frequent words first.
            Y: Target vocabulary [m, e].
            seeds: int array [p, 2] of rows of ``X`` and of ``Y``: a small dictionary, or
                :func:`xling.measures.identical_words`; none if not given.

        Raises:
            XlingError: for NaN or infinity, zero rows, ``seeds`` that are empty or name a row that
                does not exist, and without seeds for widths that differ.
        """
        X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
        x, y = X[: self.cutoff], Y[: self.cutoff]
        pairs = (
            _by_distribution(x, y, self.k)
            if seeds is None
            else as_row_pairs(seeds, len(X), len(Y), "seeds")
        )
        start = Procrustes(underdetermined=True).fit(X[pairs[:, 0]], Y[pairs[:, 1]]).matrix_
        runs = [self._search(start, x, y, number) for number in (0, 1)]
        best = max(runs, key=lambda run: run[1])
        self.matrix_, _, self.pairs_, _ = best
        self.rounds_ = np.asarray(sum(run[3] for run in runs))
        one, other = (set(map(tuple, run[2].tolist())) for run in runs)
        self.agreement_ = np.asarray(len(one & other) / max(len(one | other), 1))
        if self.agreement_ < _TRUSTED:
            warnings.warn(
                f"self-learning found no map to trust: two searches agree in {self.agreement_:.0%} "
                f"of their pairs (expected at least {_TRUSTED:.0%}); give (more) seed pairs, or "
                "vectors of more comparable text",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def _search(
        self, start: Matrix, x: Matrix, y: Matrix, run: int
    ) -> tuple[NDArray[np.float64], float, NDArray[np.int64], int]:
        """Rounds of induction from a first map: the map, its objective, its pairs, the rounds."""
        rotation = Procrustes(underdetermined=True)
        rotation.matrix_ = best_matrix = start.astype(np.float64)
        kept, best, waited = _FIRST_KEPT, -np.inf, 0
        for number in range(self.rounds):
            random = generator(self.seed, "self-learning", run, number)
            pairs, objective = self._induce(x @ rotation.matrix_, y, kept, random)
            if objective > best + 1e-4:
                best, waited, best_matrix = objective, 0, rotation.matrix_
            else:
                waited += 1
            if waited > _PATIENCE:
                if kept == 1:
                    break
                # The best map with fewer candidates need not be the best with more.
                kept, best, waited = min(1.0, kept * _GROWTH), -np.inf, 0
            rotation.fit(x[pairs[:, 0]], y[pairs[:, 1]])
        found = mutual_pairs(x @ best_matrix, y, "csls", self.k)
        rotation.fit(x[found[:, 0]], y[found[:, 1]])
        return rotation.matrix_, best, found, number + 1

    def _induce(
        self, mapped: Matrix, y: Matrix, kept: float, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], float]:
        """The best remaining translations of both sides, and the mean score of the best of all."""
        scores = scores_between(mapped, y, "csls", self.k)
        pairs, objective = [], 0.0
        found = top_k_of_both(scores, _CANDIDATES)
        for direction, (entries, columns) in zip((1, -1), found, strict=True):
            objective += float(entries[:, 0].mean(dtype=np.float64)) / 2
            remaining = random.random(columns.shape) < kept
            rows = np.flatnonzero(remaining.any(axis=1))
            chosen = columns[rows, remaining[rows].argmax(axis=1)]
            pairs.append(np.stack([rows, chosen], axis=1)[:, ::direction])
        return np.concatenate(pairs), objective


def _by_distribution(x: Matrix, y: Matrix, k: int) -> NDArray[np.int64]:
    """Pair words whose sorted similarities to the words of their own language are alike."""
    if x.shape[1] != y.shape[1]:
        raise XlingError(
            f"X has width {x.shape[1]} and Y {y.shape[1]}: without seeds self-learning compares "
            "distributions of similarities, which asks for equal widths; give seed pairs"
        )
    size = min(len(x), len(y))
    profiles = []
    for side, name in ((x[:size], "X"), (y[:size], "Y")):
        U, singular, _ = np.linalg.svd(unit_rows(side, name), full_matrices=False)
        # The square root of the matrix of similarities, whose distribution is closer to normal.
        rooted = np.sort((U * singular) @ U.T, axis=1)
        rooted -= rooted.mean(axis=0)
        profiles.append(unit_rows(rooted + np.finfo(rooted.dtype).tiny, name))
    scores = scores_between(profiles[0], profiles[1], "csls", k)
    forward, backward = (columns[:, 0] for _, columns in top_k_of_both(scores, 1))
    rows = np.arange(size)
    return np.concatenate([np.stack([rows, forward], axis=1), np.stack([backward, rows], axis=1)])
