"""Measures of all languages together, layer by layer, as rows of a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.audit.scores import (
    CENTRED,
    PLAIN,
    POOLED,
    RETRIEVAL,
    SUBSPACE,
    Floats,
    Found,
    Hits,
    threads_for,
)
from xling.audit.vectors import Matrix, Vectors
from xling.measures import (
    anisotropy,
    bootstrap_interval,
    language_identity,
    language_subspace,
    outlier_dimensions,
    pooled_hits,
    precision_at_1,
    remove_subspace,
)
from xling.measures.tiles import TIES
from xling.names import pair_name
from xling.results import CHANCE, TRAINED, Key, Score
from xling.workers import in_threads

_MOST_SUBSPACE = 32  # dimensions
_POOLED_QUERIES, _LEAST_QUERIES = 2500, 25  # queries in all, and at least for each language
_MATRIX_ROWS = 20_000
_LARGE = 1 << 26  # bytes of a layer of all languages; above, layers are measured one at a time
_TIE = TIES["float64"]


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
        vectors: Vectors of every language, the pivot first.
        empty: Lines without a token, bool [N] each; a line that is empty in any language is left
            out here.
        resamples: Bootstrap resamples.
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
    pooled = {code: Hits(len(asked), np.ones(len(asked), bool)) for code in (*languages, "")}
    pairs = {code: Hits(len(whole), whole) for code in others}
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
        vectors: Vectors of every language, the pivot first.
        whole: Lines that have a token in every language, bool [N].
        asked: Which of these are queries in the index of all languages.
        device: As in :func:`score_pair`.
    """

    key: Key
    vectors: Mapping[str, Vectors]
    whole: NDArray[np.bool_]
    asked: NDArray[np.int64]
    device: Any

    def layer(self, layer: int) -> tuple[list[Score], _OfLanguages, _OfLanguages]:
        """Return scores, hits in the index, and hits of pairs without the language subspace."""
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
    """Return the number of directions to remove so that a layer's vectors lose their language."""
    width: int = of_layer[0].shape[1]
    return min(len(of_layer) - 1, _MOST_SUBSPACE, width // 4)


def _forms(of_layer: list[Matrix], trained: bool) -> Iterator[tuple[str, list[Matrix]]]:
    """Yield the vectors of all languages as they are, centred, and without the language subspace.

    One form at a time, since each is as large as a layer of all languages.
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
        vectors: Vectors of every language.
        lines: Number of lines; at most 200 are used, evenly spaced, and fewer with very many
            languages.

    Yields:
        Layer, metric and float64 array [K, K]; 1 on the diagonal, or less if lines are duplicates.
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
        vectors_KND: The vectors of the same N lines in K languages.

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
