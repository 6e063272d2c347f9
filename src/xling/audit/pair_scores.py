"""Measures of a pair of languages, layer by layer, as rows of a table."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.audit.scores import (
    CEILING,
    CENTRED,
    CSLS,
    FREE,
    ITSELF,
    MARGIN,
    MEXA,
    NEAREST,
    PLAIN,
    RETRIEVAL,
    ROTATED,
    Floats,
    Found,
    Hits,
    threads_for,
)
from xling.audit.vectors import LAST, WEIGHTED, Matrix, Vectors
from xling.errors import XlingError
from xling.measures import (
    bootstrap_interval,
    hubness,
    linear_cka,
    mexa,
    precision_at_1,
    rank_translations,
    rotated_hits,
    rotation_gain,
)
from xling.measures.cka import jackknifed_cka
from xling.measures.neighbours import occurrences, reciprocal
from xling.measures.retrieval import PairSearch
from xling.names import pair_name
from xling.results import CHANCE, TRAINED, Key, Score
from xling.workers import in_threads

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000)  # pairs that a rotation is learnt from
_WIDE = 1024  # wider vectors are rotated only at every fourth layer: time grows with the cube
_FOLDS = 3  # a rotation is learnt from two of them


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
        languages: The pivot and the other language.
        sides: Their vectors.
        empty: Lines without a token on either side, bool [N]: they count as misses.
        empty_free: The same without the tokens that both languages have.
        resamples: Bootstrap resamples.
        comparable: Whether both are in one space without a map.
        device: A torch device to compute products on; numpy is used if not given.
    """
    of_pair = key._replace(language=pair_name(languages))
    plain, free = Hits(len(empty), ~empty), Hits(len(empty), ~empty_free)
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


@dataclass
class _Layer:
    """Measurements of a layer: scores, and hits of lines with tokens, which become scores later."""

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
        """Yield MEXA of vectors with other poolings."""
        for form in (WEIGHTED, LAST):
            if all(side.has(form, layer) for side in self.sides):
                X, Y = (side.at(layer, form)[self.whole] for side in self.sides)
                of = self.of_pair._replace(probe=MEXA, metric=f"{MEXA}-{form}")
                yield of, mexa(X, Y, self.device)

    def _add_free(self, layer: int, found: _Layer) -> None:
        """Add the scores of vectors without the tokens that both languages have."""
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
    """Yield probe, metric, direction and hits; for an untrained model only the first few."""
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
            with suppress(XlingError):  # raised if mean cosines are not positive
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
    """Yield the scores of guessing, once for each layer of a trained model."""
    if key.condition != TRAINED:
        return
    for score in scores:
        if score.n and not score.direction and score.metric in (PLAIN, CENTRED, MEXA):
            value = 1 / (2 * score.n - 1) if score.metric == MEXA else 1 / score.n
            yield score.key._replace(condition=CHANCE).score(value, n=score.n)


def gain_of_rotation(
    key: Key,
    languages: tuple[str, str],
    X: Matrix,
    Y: Matrix,
    resamples: int,
    device: Any = None,
) -> tuple[list[tuple[int, Score]], Floats, tuple[int, ...]]:
    """Measure retrieval after rotations learnt from more and more pairs, on other lines.

    Args:
        key: Data set, layer, condition.
        languages: The pivot and the other language.
        X: Vectors of the pivot.
        Y: Vectors of the other language.
        resamples: Bootstrap resamples.
        device: As in :func:`score_pair`.

    Returns:
        The score for each number of pairs (0: centred vectors without a rotation); the hits
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
    """Score how well lines that are tokenised differently find themselves among all lines.

    Args:
        key: Data set.
        language: Language of the lines.
        sides: The vectors of the lines tokenised differently, and of all lines as they are.
        rows: For each of the former its index among the latter, int64 [M].
        empty: Lines without a token, which are not candidates.
        resamples: Bootstrap resamples.
    """
    cut, whole = sides
    numbers = np.cumsum(~empty) - 1
    pairs = np.stack([np.arange(len(rows)), numbers[rows]], axis=1)
    hits = Hits(len(rows), np.ones(len(rows), dtype=bool))
    of = key._replace(probe=RETRIEVAL, language=pair_name((language, language)), condition=CEILING)
    for layer in range(min(cut.count, whole.count)):
        X, Y = cut.at(layer), whole.at(layer)[~empty]
        for metric, mean in ((PLAIN, 0), (CENTRED, Y.mean(axis=0))):
            forward, _ = rank_translations(X - mean, Y - mean, pairs, "cosine", 1)
            hits.put(of._replace(metric=metric), layer, forward.hits(1))
    return list(hits.rows(resamples))
