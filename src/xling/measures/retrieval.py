"""How well translations are found: precision@1, precision@k and mean reciprocal rank.

Every score follows one rule. Candidates with the same score stand in random order, and the result
is the expectation over that order. So it does not matter where duplicates happen to be stored, and
vectors that are all the same score exactly as guessing does. A zero vector (a sentence without
tokens) has no direction: it is no row's neighbour, and a query that is zero, or whose translations
all are, is a miss.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import interval
from xling.errors import XlingError
from xling.measures.arrays import (
    Matrix,
    as_matrix,
    centred,
    check_paired,
    to_numpy,
    unit_rows,
    vanishing,
)
from xling.measures.gold_ranks import Counts, nearer_than_gold
from xling.measures.scores import Similarity, scores_between
from xling.measures.search import Largest, top_k_of_both
from xling.measures.tiles import Scores, blocks, on_device

_ROWS, _COLUMNS = 512, 8192  # a tile of float64 is 32 MB
_QUERIES = 8192  # queries searched in one pass over all languages
_HELD = 1 << 23  # numbers; the unit rows of all languages are kept up to this size, 64 MB
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the best gold translation of each query stands among all candidates.

    Attributes:
        queries: int64 array [q]: rows of the query side that have gold translations.
        better: int64 array [q]: candidates that score higher than the best gold one; all of them
            where a zero vector makes the query a miss.
        tied: int64 array [q]: candidates that score the same as the best gold one, which is
            included.
        gold: int64 array [q]: gold translations among the tied ones, at least 1.
    """

    queries: NDArray[np.int64]
    better: NDArray[np.int64]
    tied: NDArray[np.int64]
    gold: NDArray[np.int64]

    def hits(self, k: int) -> NDArray[np.float64]:
        """Probability that any gold translation is among the first k: array [q] in [0, 1]."""
        places = np.clip(k - self.better, 0, self.tied)
        miss = np.ones(len(self.queries))
        for i in range(int(self.gold.max())):  # C(tied - gold, places) / C(tied, places)
            remaining = np.maximum(self.tied - i, 1)
            factor = np.clip(self.tied - places - i, 0, None) / remaining
            miss *= np.where(i < self.gold, factor, 1.0)
        return np.where(places == 1, self.gold / self.tied, 1 - miss)  # exact for one place

    def precision(self, k: int = 1) -> float:
        """Precision@k: the share of queries with a gold translation among the first k."""
        return float(self.hits(k).mean())

    @property
    def reciprocal_ranks(self) -> NDArray[np.float64]:
        """Expected 1 / rank of the first gold translation: array [q]."""
        result = 1 / (self.better + 1.0)
        for i in np.flatnonzero(self.tied > self.gold):
            better, tied, gold = int(self.better[i]), int(self.tied[i]), int(self.gold[i])
            places = np.arange(1, tied - gold + 2)
            # P(first gold at place r) from P(at r - 1), starting with gold / tied.
            ratios = (tied - gold - places[:-1] + 1) / (tied - places[:-1])
            chances = gold / tied * np.concatenate([[1.0], np.cumprod(ratios)])
            result[i] = (chances / (better + places)).sum()
        return np.asarray(result)

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of the first gold translation."""
        return float(self.reciprocal_ranks.mean())


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
        (x, empty_x), (y, empty_y) = _double(X, centre), _double(Y, centre)
        self._sides, self._empty, self._device = (x, y), (empty_x, empty_y), device
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
        rows = np.arange(len(self._sides[0]))
        counted = None
        if similarity == "cosine" and "cosines" not in vars(self):
            counted = _in_single(self._units, rows, self._empty, self._device, both=True)
        if counted is None:
            scores = self.cosines
            if similarity != "cosine":
                scores = scores_between(
                    *self._sides,
                    similarity,
                    k,
                    self._empty,
                    self._device,
                    scores.held,
                    self.nearest(k) if k > 0 else None,
                )
            return _counted_in_full(scores)
        forward, backward = (_alone(rows, *counts, len(rows)) for counts in counted)
        return Retrieval((forward, backward))


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


def pooled_hits(
    vectors: Sequence[Any],
    queries: NDArray[np.int64] | None = None,
    centre: bool = False,
    device: Any = None,
) -> NDArray[np.float64]:
    """Retrieve from one index that holds the lines of all languages ("strong" alignment).

    The candidates of a line are all other lines of all languages. It is a hit if the nearest by
    cosine is one of its translations; a nearer line of its own language makes it a miss (Roy et al.
    2020). Guessing scores (K - 1) / (K N - 1).

    Cosines and ties are as in :func:`precision_at_1`, but most lines are decided in single
    precision: those whose nearest candidate is ahead by more than rounding. Beyond the input this
    takes the memory of a few thousand rows and one tile; time grows with K² N Q d.

    Args:
        vectors: For each of K languages an array [N, d]; row i of all means the same.
        queries: int array [Q]: which lines to use as queries, the same in each language; all if not
            given. All lines are candidates in any case.
        centre: As in :func:`precision_at_1`, for every language.
        device: As in :func:`precision_at_1`.

    Returns:
        Array [K, Q] in [0, 1].

    Raises:
        XlingError: for fewer than two languages, unequal shapes, NaN or infinity.

    Example:
        >>> pooled_hits([np.eye(3), np.eye(3), np.eye(3)[::-1]])
        array([[0.5, 1. , 0.5],
               [0.5, 1. , 0.5],
               [0. , 1. , 0. ]])
    """
    sides = [as_matrix(side, f"vectors[{i}]") for i, side in enumerate(vectors)]
    if len(sides) < 2 or len({side.shape for side in sides}) > 1:
        raise XlingError(
            f"vectors have shapes {[side.shape for side in sides]}: expected at least two "
            "languages, with the same lines and the same width"
        )
    lines = np.arange(len(sides[0])) if queries is None else np.asarray(queries, dtype=np.int64)
    languages = np.repeat(np.arange(len(sides)), len(lines))
    rows = np.tile(lines, len(sides))
    hits = np.zeros(len(rows))

    def units(language: int, dtype: Any) -> tuple[Matrix, Flags]:
        return _units(sides[language], centre, dtype)

    def picked(language: int, lines: NDArray[np.int64], dtype: Any) -> tuple[Matrix, Flags]:
        if not centre:
            return _units(sides[language][lines], centre, dtype)
        of_all, empty = units(language, dtype)
        return of_all[lines], empty[lines]

    if len(sides) * sides[0].size <= _HELD:
        units = cache(units)
    for part in blocks(len(rows), _QUERIES):
        asked = np.arange(part.start, part.stop)
        for dtype in (np.float32, np.float64):
            of_each = [
                picked(int(language), rows[asked[languages[asked] == language]], dtype)
                for language in np.unique(languages[asked])
            ]
            x, empty = (np.concatenate(part) for part in zip(*of_each, strict=True))
            all_units = (units(language, dtype) for language in range(len(sides)))
            found, certain = _pooled((x, empty), all_units, languages[asked], rows[asked], device)
            hits[asked] = found
            asked = asked[~certain]
            if not len(asked):
                break
    return hits.reshape(len(sides), len(lines))


def _pooled(
    queries: tuple[Matrix, Flags],
    units: Iterable[tuple[Matrix, Flags]],
    languages: NDArray[np.int64],
    rows: NDArray[np.int64],
    device: Any,
) -> tuple[NDArray[np.float64], Flags]:
    """Hits of some lines (their languages and rows) among all lines of all languages.

    In single precision a result is certain if no other candidate is so near that rounding could
    swap them: a product of rows scaled to length 1 in single precision is off by less than
    (d + 16) 2⁻²⁴ (Higham 2002, section 3.1).
    """
    x, empty_x = queries
    single = x.dtype == np.float32
    best = np.full(len(rows), -np.inf)
    tied, right = np.zeros((2, len(rows)), dtype=np.int64)
    for language, (y, empty_y) in enumerate(units):
        own = np.flatnonzero(languages == language)
        scores = on_device(Scores(x, y, None, (empty_x, empty_y)), device)
        tie = 2 * (x.shape[1] + 16) * 2.0**-24 if single else scores.tie
        for columns in blocks(len(y), _ROWS):
            tile = scores.tile(slice(None), columns)
            inside = (rows >= columns.start) & (rows < columns.stop)
            itself = own[inside[own]]
            tile[itself, rows[itself] - columns.start] = -np.inf
            largest = to_numpy(tile.max(1) if isinstance(tile, np.ndarray) else tile.amax(1))
            level = np.maximum(best, largest)
            nearer = level > best + tie
            tied[nearer], right[nearer], best = 0, 0, level
            tied += _count(operator.ge, tile, level - tie, 1)
            translated = np.flatnonzero(inside)
            found = to_numpy(tile[translated, rows[translated] - columns.start])
            right[translated] += found >= level[translated] - tie
    known = np.isfinite(best)
    hits = np.where(known, right / np.maximum(tied, 1), 0.0)
    return hits, (tied == 1) | ~known if single else np.ones_like(known)


def _units(matrix: Matrix, centre: bool, dtype: Any) -> tuple[Matrix, Flags]:
    """Rows of length 1, computed in their own precision or the requested one if that is higher."""
    rows, empty = _prepared(matrix, centre)
    rows = rows.astype(np.promote_types(rows.dtype, dtype), copy=False)
    return unit_rows(rows, "vectors", zero_rows=True).astype(dtype, copy=False), empty


def rank_translations(
    X: Any, Y: Any, gold: Any, similarity: Similarity = "csls", k: int = 10
) -> tuple[Ranking, Ranking]:
    """Rank gold translations among all candidates, in both directions.

    Every row of the other side is a candidate, so precision is over the whole vocabulary. Scores
    closer than 1e-12 (4e-6 in float32) are ties. Beyond input and output this takes the memory of a
    unit-length copy of each side, and tens of megabytes.

    Args:
        X: numpy array or torch tensor [n, d], mapped into the space of ``Y``.
        Y: numpy array or torch tensor [m, d].
        gold: int array [pairs, 2]: a row of ``X`` and a row of ``Y``. A word with several
            translations occurs in several pairs, and any of them is right; repeated pairs count
            once.
        similarity: ``"csls"``, ``"cosine"`` or ``"margin"`` (the ratio).
        k: Number of neighbours in CSLS and the margin.

    Returns:
        Rankings of the distinct words on the left of ``gold``, and of those on the right.

    Raises:
        XlingError: if ``gold`` is empty, is not [pairs, 2] or names a row that does not exist; for
            NaN or infinity, or unequal widths.

    Example:
        >>> gold = [[0, 0], [0, 1], [2, 1]]
        >>> forward, backward = rank_translations(np.eye(3), np.eye(3), gold, k=1)
        >>> forward.precision(1), round(forward.mrr, 6)
        (0.5, 0.708333)
        >>> backward.queries
        array([0, 1])
    """
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    scores = scores_between(X, Y, similarity, k, (vanishing(X), vanishing(Y)))
    pairs = _checked(gold, len(X), len(Y))
    return rank_rows(scores, pairs), rank_rows(scores.transposed, pairs[:, ::-1])


def bootstrap_interval(
    hits: NDArray[np.float64], seed: int, resamples: int = 1000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile interval of a mean, by resampling sentences with replacement.

    Args:
        hits: Array [..., n] of per-sentence scores. All leading entries (layers, directions) are
            resampled with the same draws, so their intervals may be compared pairwise.
        seed: The draws depend only on it and on n.
        resamples: Number of resamples.

    Returns:
        Lower and upper ends, arrays [...] (numpy scalars for a vector).
    """
    n = hits.shape[-1]
    return interval(np.moveaxis(hits, -1, 0), lambda sums: sums / n, seed, resamples)


def _counted_in_full(scores: Scores) -> Retrieval:
    """Rank each pair by comparing its score with all scores of its rows."""
    rows = np.arange(len(scores.A))
    level = scores.of_pairs(rows, rows)
    better, at_least = np.zeros((2, 2, len(rows)), dtype=np.int64)
    for part in blocks(len(rows), _ROWS):
        for columns in blocks(len(rows), _COLUMNS):
            tile = scores.tile(part, columns)
            for side, mine, axis in ((0, part, 1), (1, columns, 0)):
                edges = level[mine] + scores.tie, level[mine] - scores.tie
                better[side, mine] += _count(operator.gt, tile, edges[0], axis)
                at_least[side, mine] += _count(operator.ge, tile, edges[1], axis)
    forward, backward = (
        _ranking(rows, better[i], at_least[i], np.ones_like(rows), np.isneginf(level), len(rows))
        for i in (0, 1)
    )
    return Retrieval((forward, backward))


def rank_paired(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    gold: NDArray[np.int64],
    empty: tuple[Flags, Flags],
    device: Any = None,
) -> Ranking:
    """Rank each row's gold translation among all rows of the other side, by cosine.

    Args:
        x: Array [n, d], rows of length 1 or zero.
        y: Array [m, d], likewise.
        gold: For each row of x its translation in y, int64 [n].
        empty: Rows without a direction, bool [n] and [m].
        device: As in :func:`precision_at_1`.

    Returns:
        The ranking of queries 0 to n - 1.
    """
    queries = np.arange(len(x))
    counted = _in_single((x, y), gold, empty, device)
    if counted is not None:
        return _alone(queries, *counted[0], len(y))
    scores = scores_between(x, y, "cosine", 1, empty, device)
    return rank_rows(scores, np.stack([queries, gold], axis=1))


def _in_single(
    sides: Sequence[NDArray[np.float64]],
    gold: NDArray[np.int64],
    empty: tuple[Flags, Flags],
    device: Any,
    both: bool = False,
) -> list[Counts] | None:
    """Count by products in single precision; None where that cannot be done."""
    x, y = sides
    if x.shape[1] != y.shape[1] or device is not None or empty[0].any() or empty[1].any():
        return None
    return nearer_than_gold(x, y, gold, both)


def _alone(
    queries: NDArray[np.int64],
    better: NDArray[np.int64],
    at_least: NDArray[np.int64],
    candidates: int,
) -> Ranking:
    """The ranking of queries that have one gold translation each, and a direction."""
    none = np.zeros(len(queries), dtype=bool)
    return _ranking(queries, better, at_least, np.ones_like(queries), none, candidates)


def _count(
    compare: Callable[[Any, Any], Any], tile: Any, level: NDArray[np.floating[Any]], axis: int
) -> NDArray[np.int64]:
    """How many scores of each row (axis 1) or column (axis 0) pass ``compare`` with its level."""
    if isinstance(tile, np.ndarray):
        edge = np.expand_dims(level.astype(tile.dtype), axis)
        return np.asarray(np.count_nonzero(compare(tile, edge), axis=axis))
    mask = compare(tile, tile.new_tensor(level).unsqueeze(axis))
    return to_numpy(mask.count_nonzero(axis))


def _ranking(
    queries: NDArray[np.int64],
    better: NDArray[np.int64],
    at_least: NDArray[np.int64],
    gold: NDArray[np.int64],
    miss: Flags,
    candidates: int,
) -> Ranking:
    # A gold score just at the edge of a tie may be rounded the other way in a tile.
    tied = np.maximum(at_least - better, gold)
    better[miss], tied[miss], gold[miss] = candidates, 1, 1
    return Ranking(queries, better, tied, gold)


def rank_rows(scores: Scores, pairs: NDArray[np.int64]) -> Ranking:
    """Rank the gold columns of some rows among all columns; pairs [p] of a row and a column."""
    queries, query_of = np.unique(pairs[:, 0], return_inverse=True)
    found = scores.of_pairs(*pairs.T)
    best = np.full(len(queries), -np.inf, dtype=found.dtype)
    np.maximum.at(best, query_of, found)
    gold = np.bincount(query_of, weights=found >= best[query_of] - scores.tie).astype(np.int64)
    better, at_least = np.zeros((2, len(queries)), dtype=np.int64)
    for rows in blocks(len(queries), _ROWS):
        for columns in blocks(len(scores.B), _COLUMNS):
            tile = scores.tile(queries[rows], columns)
            better[rows] += _count(operator.gt, tile, best[rows] + scores.tie, 1)
            at_least[rows] += _count(operator.ge, tile, best[rows] - scores.tie, 1)
    return _ranking(queries, better, at_least, gold, np.isneginf(best), len(scores.B))


def _checked(gold: Any, n: int, m: int) -> NDArray[np.int64]:
    pairs = np.asarray(gold)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise XlingError(
            f"gold has shape {pairs.shape}: expected [pairs, 2] with at least one pair; has the "
            "dictionary any words in common with the vocabularies?"
        )
    if not np.issubdtype(pairs.dtype, np.integer):
        raise XlingError(f"gold holds {pairs.dtype}: expected row numbers")
    wrong = ((pairs < 0) | (pairs >= [n, m])).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise XlingError(
            f"gold pair {first} is {pairs[first].tolist()}: X has {n} rows and Y has {m}"
        )
    return np.unique(pairs.astype(np.int64), axis=0)


def _double(matrix: Matrix, centre: bool) -> tuple[NDArray[np.float64], Flags]:
    """Return what :func:`_prepared` does, in float64."""
    rows, empty = _prepared(matrix, centre)
    return rows.astype(np.float64), empty


def _prepared(matrix: Matrix, centre: bool) -> tuple[Matrix, Flags]:
    """Return the rows, centred or not, and which of them were zero before."""
    empty = vanishing(matrix)
    if centre and not empty.all():
        inner = centred(matrix[~empty])
        matrix = np.zeros_like(matrix)
        matrix[~empty] = inner
    return matrix, empty
