"""Measures of a model's vectors as rows of a table: of a pair of languages, and of all together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.audit.vectors import LAST, WEIGHTED, Matrix, Vectors
from xling.errors import XlingError
from xling.measures import (
    anisotropy,
    bootstrap_interval,
    hubness,
    language_identity,
    language_subspace,
    linear_cka,
    mexa,
    outlier_dimensions,
    pooled_hits,
    precision_at_1,
    rank_translations,
    remove_subspace,
    rotated_hits,
    rotation_gain,
)
from xling.measures.cka import jackknifed_cka
from xling.measures.neighbours import occurrences, reciprocal
from xling.measures.retrieval import PairSearch
from xling.measures.tiles import TIES
from xling.names import pair_name
from xling.results import CHANCE, TRAINED, Key, Score
from xling.workers import in_threads

Floats = NDArray[np.float64]
FREE = "anchor-free-"  # and the other language: the form of the pivot's vectors
PLAIN, CENTRED, CSLS, MARGIN = "p@1", "p@1-centred", "p@1-csls", "p@1-margin"
SUBSPACE, ROTATED = "p@1-subspace", "p@1-rotated"
RETRIEVAL, POOLED, MEXA = "retrieval", "retrieval-pooled", "mexa"
CEILING, ITSELF = "ceiling", "itself"
NEAREST = 10  # k of CSLS and of hubness
SIZES = (10, 30, 100, 300, 1000, 3000, 10_000)  # pairs that a rotation is learnt from
_MOST_SUBSPACE = 32  # dimensions
_WIDE = 1024  # wider vectors are rotated at every fourth layer only: time grows with the cube
_POOLED_QUERIES, _LEAST_QUERIES = 2500, 25  # in all, and of each language
_MATRIX_ROWS = 20_000
_SIDE_BY_SIDE = 8  # layers, each of which takes some 100 MB for 2000 lines
_LARGE = 1 << 26  # bytes of a layer of all languages, from which on layers wait for each other
_FOLDS = 3  # of which two teach a rotation
_TIE = TIES["float64"]


@dataclass
class Found:
    """What was measured of one model in one condition.

    Attributes:
        scores: Rows of the table.
        hits: For each probe and metric, and each language (``""``: all together), hits in [0, 1] of
            every line at every layer, float64 [layers, N].
    """

    scores: list[Score] = field(default_factory=list)
    hits: dict[tuple[str, str, str], Floats] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Take over what another has."""
        self.scores += other.scores
        self.hits |= other.hits


class _Hits:
    """Hits per line of several metrics and layers, from which come means and intervals."""

    def __init__(self, lines: int, whole: NDArray[np.bool_]) -> None:
        self._lines, self._whole = lines, whole
        self._of: dict[tuple[Key, int], Floats] = {}

    def put(self, key: Key, layer: int, hits: Floats) -> None:
        """Keep the hits of the whole lines; the others are misses."""
        of_all = np.zeros(self._lines)
        of_all[self._whole] = hits
        self._of[key, layer] = of_all

    def rows(self, resamples: int) -> Iterator[Score]:
        """Yield means with 95 % intervals, by the same draws for all."""
        if not self._of:
            return
        hits = np.stack(list(self._of.values()))
        low, high = bootstrap_interval(hits, 0, resamples)
        for number, (key, layer) in enumerate(self._of):
            mean = float(hits[number].mean())
            ends = float(low[number]), float(high[number])
            yield key._replace(layer=layer).score(mean, *ends, hits.shape[1])

    def by_layer(self, key: Key) -> Floats:
        """Return the hits of one metric at every layer that has it; NaN elsewhere."""
        depth = 1 + max(layer for _, layer in self._of)
        found = np.full((depth, self._lines), np.nan)
        for (of, layer), hits in self._of.items():
            if of == key:
                found[layer] = hits
        return found

    @property
    def keys(self) -> list[Key]:
        return list(dict.fromkeys(key for key, _ in self._of))


def score_pair(
    key: Key,
    languages: tuple[str, str],
    sides: tuple[Vectors, Vectors],
    empty: NDArray[np.bool_],
    empty_free: NDArray[np.bool_],
    resamples: int,
    comparable: bool = True,
    device: Any = None,
) -> Found:
    """Measure how well the translations of two languages' lines are found, layer by layer.

    Args:
        key: Data set, condition and draw.
        languages: The pivot and the other.
        sides: Their vectors.
        empty: Lines without a token on either side, bool [N]: misses.
        empty_free: The same without the tokens that both languages have.
        resamples: Of the bootstrap.
        comparable: Whether both are in one space without a map.
        device: A torch device to take products on; numpy does it if not given.
    """
    of_pair = key._replace(language=pair_name(languages))
    plain, free = _Hits(len(empty), ~empty), _Hits(len(empty), ~empty_free)
    found = Found()
    work = _PairScorer(of_pair, languages, sides, ~empty, ~empty_free, comparable, device)
    layers = range(min(side.count for side in sides))
    for layer, of_layer in enumerate(in_threads(work.layer, layers, threads_for(device))):
        found.scores += of_layer.scores
        for held, measured in ((plain, of_layer.plain), (free, of_layer.free)):
            for of, hits in measured:
                held.put(of, layer, hits)
    for held in (plain, free):
        found.scores += held.rows(resamples)
    for of in plain.keys:
        if not of.direction:
            found.hits[of.probe, of.metric, languages[1]] = plain.by_layer(of)
    found.scores += list(_chance(of_pair, found.scores))
    return found


def threads_for(device: Any) -> int:
    """How many layers to look at side by side: torch's threads, but not many; one on a device."""
    import torch

    return min(torch.get_num_threads(), _SIDE_BY_SIDE) if device is None else 1


@dataclass
class _Layer:
    """What was measured of a layer: scores, and hits of whole lines, which become scores later."""

    scores: list[Score] = field(default_factory=list)
    plain: list[tuple[Key, Floats]] = field(default_factory=list)
    free: list[tuple[Key, Floats]] = field(default_factory=list)


@dataclass(frozen=True)
class _PairScorer:
    """Measures a pair of languages at any layer; see :func:`score_pair`."""

    of_pair: Key
    languages: tuple[str, str]
    sides: tuple[Vectors, Vectors]
    whole: NDArray[np.bool_]
    whole_free: NDArray[np.bool_]
    comparable: bool
    device: Any

    def layer(self, layer: int) -> _Layer:
        """Measure a layer."""
        of_pair, device, found = self.of_pair, self.device, _Layer()
        X, Y = (side.at(layer)[self.whole] for side in self.sides)
        found.scores.append(_cka(of_pair._replace(probe="cka", layer=layer), X, Y, device))
        raw = PairSearch(X, Y, device=device) if self.comparable else None
        if raw is not None:
            found.scores += _neighbours(of_pair._replace(layer=layer), raw)
        for probe, metric, direction, hits in _pair_hits(
            of_pair.condition, self.languages, X, Y, layer, raw, device
        ):
            of = of_pair._replace(probe=probe, metric=metric, direction=direction)
            found.plain.append((of, hits))
        if self.comparable:
            found.plain += self._pooled_forms(layer)
        self._add_free(layer, found)
        return found

    def _pooled_forms(self, layer: int) -> Iterator[tuple[Key, Floats]]:
        """Yield MEXA of vectors that are pooled in other ways."""
        for form in (WEIGHTED, LAST):
            if all(side.has(form, layer) for side in self.sides):
                X, Y = (side.at(layer, form)[self.whole] for side in self.sides)
                of = self.of_pair._replace(probe=MEXA, metric=f"{MEXA}-{form}")
                yield of, mexa(X, Y, self.device)

    def _add_free(self, layer: int, found: _Layer) -> None:
        """Add what vectors without the tokens that both languages have tell."""
        forms = [f"{FREE}{code}" for code in reversed(self.languages)]
        if not all(side.has(form, layer) for side, form in zip(self.sides, forms, strict=True)):
            return
        X, Y = (
            side.at(layer, form)[self.whole_free]
            for side, form in zip(self.sides, forms, strict=True)
        )
        if len(X) > 1:
            of_cka = self.of_pair._replace(probe="cka-anchor-free", layer=layer)
            found.scores.append(_cka(of_cka, X, Y, self.device))
        if self.comparable and len(X):
            of_free = self.of_pair._replace(probe=f"{RETRIEVAL}-anchor-free")
            for metric in (PLAIN, CENTRED):
                both = precision_at_1(X, Y, metric == CENTRED, self.device).hits
                found.free.append((of_free._replace(metric=metric), both))


def _cka(key: Key, X: Matrix, Y: Matrix, device: Any) -> Score:
    value, low, high = jackknifed_cka(X, Y)
    if device is not None:
        value = linear_cka(X, Y, device)
    score = key._replace(metric="cka").score(value, n=len(X))
    return score._replace(low=low, high=high) if low == low else score


def _pair_hits(
    condition: str,
    languages: tuple[str, str],
    X: Matrix,
    Y: Matrix,
    layer: int,
    raw: PairSearch | None,
    device: Any,
) -> Iterator[tuple[str, str, str, Floats]]:
    """Yield probe, metric, direction and hits; an untrained model gets the first few only."""
    a, b = languages
    trained = condition == TRAINED
    if raw is not None:
        plain, centred = raw.by(), PairSearch(X, Y, True, device)
        csls = centred.by("csls", min(NEAREST, len(X))) if trained else None
        yield RETRIEVAL, PLAIN, "", plain.hits
        yield RETRIEVAL, PLAIN, f"{a}>{b}", plain.forward_hits
        yield RETRIEVAL, PLAIN, f"{b}>{a}", plain.backward_hits
        yield RETRIEVAL, CENTRED, "", centred.by().hits
        yield MEXA, MEXA, "", plain.strict.astype(np.float64)
        if csls is not None:
            yield RETRIEVAL, CSLS, "", csls.hits
            with suppress(XlingError):  # of a ratio of mean cosines that are not positive
                yield RETRIEVAL, MARGIN, "", raw.by("margin", min(4, len(X))).hits
    if (trained or raw is None) and len(X) >= 10 and (X.shape[1] <= _WIDE or layer % 4 == 0):
        yield RETRIEVAL, ROTATED, "", rotated_hits(X, Y, _FOLDS, device=device).hits


def _neighbours(key: Key, raw: PairSearch) -> Iterator[Score]:
    if key.condition != TRAINED:
        return
    n, scores = len(raw.cosines.A), raw.cosines
    k = min(NEAREST, n)
    nearest = raw.nearest(k + 1)
    sides = zip((scores, scores.transposed), nearest, strict=True)
    counts = [occurrences(side, k, of_side) for side, of_side in sides]
    values = {
        "reciprocity": float(np.mean(reciprocal(scores, nearest))),
        "hubness": float(np.mean([hubness(one) for one in counts])),
        "largest-hub": float(max(one.max() for one in counts)) / k,
    }
    for metric, value in values.items():
        yield key._replace(probe="neighbours", metric=metric).score(value, n=n)


def _chance(key: Key, scores: Sequence[Score]) -> Iterator[Score]:
    """Yield what guessing scores, once for each layer of a trained model."""
    if key.condition != TRAINED:
        return
    for score in scores:
        if score.n and not score.direction and score.metric in (PLAIN, CENTRED, MEXA):
            value = 1 / (2 * score.n - 1) if score.metric == MEXA else 1 / score.n
            yield score.key._replace(condition=CHANCE).score(value, n=score.n)


def score_languages(
    key: Key,
    vectors: Mapping[str, Vectors],
    empty: Mapping[str, NDArray[np.bool_]],
    resamples: int,
    device: Any = None,
) -> Found:
    """Measure all languages together, layer by layer.

    Args:
        key: Data set, condition and draw.
        vectors: Of every language, the pivot first.
        empty: Lines without a token, bool [N] each; a line that is empty in any language is left
            out here.
        resamples: Of the bootstrap.
        device: As in :func:`score_pair`.
    """
    languages = list(vectors)
    pivot, others = languages[0], languages[1:]
    whole = ~np.any([empty[code] for code in languages], axis=0)
    lines = int(whole.sum())
    found = Found()
    if lines < 2:
        return found
    most = max(_LEAST_QUERIES, _POOLED_QUERIES // len(languages))
    asked = np.unique(np.linspace(0, lines - 1, min(lines, most)).astype(np.int64))
    pooled = {code: _Hits(len(asked), np.ones(len(asked), bool)) for code in (*languages, "")}
    pairs = {code: _Hits(len(whole), whole) for code in others}
    trained = key.condition == TRAINED
    work = _SpaceScorer(key, vectors, whole, asked, device)
    layers = range(min(side.count for side in vectors.values()))
    first = vectors[pivot].at(0)
    large = len(languages) * first[whole].nbytes > _LARGE
    for layer, (scores, of_queries, of_pairs) in enumerate(
        in_threads(work.layer, layers, 1 if large else threads_for(device))
    ):
        found.scores += scores
        for held, measured in ((pooled, of_queries), (pairs, of_pairs)):
            for code, of, line_hits in measured:
                held[code].put(of, layer, line_hits)
    for code, hits in pooled.items():
        found.scores += hits.rows(resamples)
        for of in hits.keys:
            found.hits[POOLED, of.metric, code] = hits.by_layer(of)
    for code, hits in pairs.items():
        found.scores += hits.rows(resamples)
        for of in hits.keys:
            found.hits[RETRIEVAL, SUBSPACE, code] = hits.by_layer(of)
    chance = (len(languages) - 1) / (len(languages) * lines - 1)
    for score in list(found.scores) if trained else ():
        if score.probe == POOLED and not score.language and score.metric == PLAIN:
            of = score.key._replace(condition=CHANCE)
            found.scores.append(of.score(chance, n=score.n))
    return found


_OfLanguages = list[tuple[str, Key, Floats]]


@dataclass(frozen=True)
class _SpaceScorer:
    """Measures all languages together at any layer; see :func:`score_languages`.

    Attributes:
        key: Data set, condition and draw.
        vectors: Of every language, the pivot first.
        whole: Lines that have a token in every language, bool [N].
        asked: Which of these are looked for in the index of all languages.
        device: As in :func:`score_pair`.
    """

    key: Key
    vectors: Mapping[str, Vectors]
    whole: NDArray[np.bool_]
    asked: NDArray[np.int64]
    device: Any

    def layer(self, layer: int) -> tuple[list[Score], _OfLanguages, _OfLanguages]:
        """Return scores, hits in the index, and hits of pairs without what tells languages."""
        key, languages = self.key._replace(layer=layer), list(self.vectors)
        trained = key.condition == TRAINED
        of_layer = [side.at(layer)[self.whole] for side in self.vectors.values()]
        scores = list(_of_space(key, languages, of_layer))
        pooled: _OfLanguages = []
        pairs: _OfLanguages = []
        for metric, sides in _forms(of_layer, trained):
            if metric == SUBSPACE:
                for code, side in zip(languages[1:], sides[1:], strict=True):
                    name = pair_name((languages[0], code))
                    of = self.key._replace(probe=RETRIEVAL, language=name, metric=SUBSPACE)
                    pairs.append(
                        (code, of, precision_at_1(sides[0], side, device=self.device).hits)
                    )
            hits_KQ = pooled_hits(sides, self.asked, device=self.device)
            of = self.key._replace(probe=POOLED, metric=metric)
            for code, hits in zip(languages, hits_KQ, strict=True):
                pooled.append((code, of._replace(language=code), hits))
            pooled.append(("", of, hits_KQ.mean(axis=0)))
            del sides  # before the next are made
        if trained:
            scores += _identity(key, of_layer)
        return scores, pooled, pairs


def subspace_rank(of_layer: list[Matrix]) -> int:
    """Return how many directions are removed to take language out of the vectors of a layer."""
    width: int = of_layer[0].shape[1]
    return min(len(of_layer) - 1, _MOST_SUBSPACE, width // 4)


def _forms(of_layer: list[Matrix], trained: bool) -> Iterator[tuple[str, list[Matrix]]]:
    """Yield the vectors of all languages as they are, centred, and without what tells languages.

    One after the other, since each is as large as a layer of all languages.
    """
    yield PLAIN, of_layer
    yield CENTRED, [side - side.mean(axis=0) for side in of_layer]
    rank = subspace_rank(of_layer)
    if trained and rank > 0:
        basis = language_subspace(of_layer, rank)
        yield SUBSPACE, [remove_subspace(side, basis) for side in of_layer]


def _of_space(key: Key, languages: Sequence[str], of_layer: Sequence[Matrix]) -> Iterator[Score]:
    if key.condition != TRAINED:
        return
    for code, side in zip(languages, of_layer, strict=True):
        outliers, shares = outlier_dimensions(side)
        values = {
            "anisotropy": float(anisotropy(side)),
            "outlier-dimensions": float(len(outliers)),
            "outlier-share": float(shares.max()),
        }
        for metric, value in values.items():
            of = key._replace(probe="space", language=code, metric=metric)
            yield of.score(value, n=len(side))


def _identity(key: Key, of_layer: Sequence[Matrix]) -> Iterator[Score]:
    if len(of_layer[0]) < 10:
        return
    hits = language_identity(of_layer)
    of = key._replace(probe="language-identity", metric="accuracy")
    low, high = bootstrap_interval(hits.mean(axis=0)[None], 0)
    yield of.score(float(hits.mean()), float(low[0]), float(high[0]), hits.size)
    chance = 1 / len(of_layer)
    yield of._replace(condition=CHANCE).score(chance, n=hits.size)


def matrix(
    vectors: Mapping[str, Vectors], lines: int
) -> Iterator[tuple[int, str, NDArray[np.float64]]]:
    """Yield for every layer and metric p@1 from each language (row) to each other (column).

    Args:
        vectors: Of every language.
        lines: How many there are; at most 200, evenly spaced, are used, and fewer of very many
            languages.

    Yields:
        Layer, metric and float64 array [K, K]; 1 on the diagonal less duplicates.
    """
    count = min(lines, 200, max(2, _MATRIX_ROWS // len(vectors)))
    chosen = np.linspace(0, lines - 1, count).astype(int)
    for layer in range(min(side.count for side in vectors.values())):
        of_layer = np.stack([side.at(layer)[chosen] for side in vectors.values()])
        for metric in (PLAIN, CENTRED):
            if metric == CENTRED:
                of_layer = of_layer - of_layer.mean(axis=1, keepdims=True)
            yield layer, metric, all_pairs(of_layer)


def all_pairs(vectors_KND: Matrix) -> Floats:
    """Return precision@1 from every language to every other, ties in expectation.

    Args:
        vectors_KND: For K languages the vectors of the same N lines.

    Returns:
        Array [K, K]; entry (i, j) is for lines of language i among the lines of language j.
    """
    languages, lines, width = vectors_KND.shape
    norms = np.linalg.norm(vectors_KND, axis=2, keepdims=True)
    units = vectors_KND / np.maximum(norms, np.finfo(np.float32).tiny).astype(np.float64)
    flat = units.reshape(-1, width)
    result = np.zeros((languages, languages))
    own = np.arange(lines)
    for number, side in enumerate(units):
        cosine = (side @ flat.T).reshape(lines, languages, lines)
        gold = cosine[own, :, own][:, :, None]
        better = (cosine > gold + _TIE).sum(axis=2)
        tied = (np.abs(cosine - gold) <= _TIE).sum(axis=2)
        hits = np.where(better == 0, 1 / np.maximum(tied, 1), 0.0)
        hits[norms[number, :, 0] == 0] = 0
        result[number] = hits.mean(axis=0)
    return result


def gain_of_rotation(
    key: Key,
    languages: tuple[str, str],
    X: Matrix,
    Y: Matrix,
    resamples: int,
    device: Any = None,
) -> tuple[list[tuple[int, Score]], Floats, tuple[int, ...]]:
    """Measure retrieval after a rotation learnt from ever more pairs, on lines of neither.

    Args:
        key: Data set, layer, condition.
        languages: The pivot and the other.
        X: Vectors of the pivot.
        Y: Vectors of the other.
        resamples: Of the bootstrap.
        device: As in :func:`score_pair`.

    Returns:
        For each number of pairs, 0 being centred vectors without a rotation, the score; the hits
        [S, N_test]; and the numbers of pairs.
    """
    test = max(2, min(500, len(X) // 3))
    sizes = tuple(size for size in SIZES if size <= len(X) - test)
    hits = rotation_gain(X, Y, sizes, test, device=device)
    sizes = (0, *sizes)
    of = key._replace(probe=RETRIEVAL, language=pair_name(languages), metric=ROTATED)
    low, high = bootstrap_interval(hits, 0, resamples)
    rows = [
        (size, of.score(float(one.mean()), float(a), float(b), len(one)))
        for size, one, a, b in zip(sizes, hits, low, high, strict=True)
    ]
    return rows, hits, sizes


def ceiling(key: Key, language: str, vectors: Vectors, empty: NDArray[np.bool_]) -> list[Score]:
    """Score a language against itself: below 1 only where lines have equal vectors."""
    found = []
    for layer in range(vectors.count):
        X = vectors.at(layer)[~empty]
        of = key._replace(language=pair_name((language, language)), layer=layer, condition=ITSELF)
        values = {"cka": ("cka", linear_cka(X, X)), PLAIN: (RETRIEVAL, precision_at_1(X, X).mean)}
        for metric, (probe, value) in values.items():
            found.append(of._replace(probe=probe, metric=metric).score(value, n=len(X)))
    return found


def ceiling_recut(
    key: Key,
    language: str,
    sides: tuple[Vectors, Vectors],
    rows: NDArray[np.int64],
    empty: NDArray[np.bool_],
    resamples: int,
) -> list[Score]:
    """Score how well lines that are cut into other pieces find themselves among all lines.

    Args:
        key: Data set.
        language: Whose lines they are.
        sides: The vectors of the lines cut otherwise, and of all lines as they are.
        rows: For each of the former its number among the latter, int64 [M].
        empty: Lines without a token, which are no candidates.
        resamples: Of the bootstrap.
    """
    cut, whole = sides
    numbers = np.cumsum(~empty) - 1
    pairs = np.stack([np.arange(len(rows)), numbers[rows]], axis=1)
    hits = _Hits(len(rows), np.ones(len(rows), dtype=bool))
    of = key._replace(probe=RETRIEVAL, language=pair_name((language, language)), condition=CEILING)
    for layer in range(min(cut.count, whole.count)):
        X, Y = cut.at(layer), whole.at(layer)[~empty]
        for metric, mean in ((PLAIN, 0), (CENTRED, Y.mean(axis=0))):
            forward, _ = rank_translations(X - mean, Y - mean, pairs, "cosine", 1)
            hits.put(of._replace(metric=metric), layer, forward.hits(1))
    return list(hits.rows(resamples))
