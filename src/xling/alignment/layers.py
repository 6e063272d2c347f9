"""Align one layer of one model with one layer of another, and score retrieval."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xling.alignment.config import AlignSettings
from xling.bootstrap import bootstrap_interval
from xling.errors import XlingError
from xling.influence import Floats, of_mean, of_sum
from xling.measures.arrays import Matrix
from xling.measures.maps import LeastSquares, LinearMap, Procrustes, Ridge
from xling.measures.normalization import Normalizer
from xling.measures.ranking import rank_translations
from xling.measures.scores import Similarity
from xling.measures.translation import translate
from xling.names import pair_name
from xling.results import Key, Score

SIMILARITIES: dict[str, Similarity] = {"": "cosine", "-csls": "csls", "-margin": "margin"}
_RANKS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Alignment:
    """What aligns a source layer with a target layer: two normalisations and a map."""

    source: Normalizer
    target: Normalizer
    map: LinearMap

    def bring_together(self, X: Matrix, Y: Matrix) -> tuple[Matrix, Matrix]:
        """Return both sides in the target's space."""
        return self.map.transform(self.source.transform(X)), self.target.transform(Y)


def matched_layers(depth: int, other_depth: int) -> list[tuple[int, int]]:
    """Pair the layers of two models at equal relative depth.

    Args:
        depth: Number of layers of one model, the embeddings' output included.
        other_depth: Number of layers of the other.

    Returns:
        For each layer of the shallower model one pair; (i, i) if both are equally deep.

    Example:
        >>> matched_layers(3, 5)
        [(0, 0), (1, 2), (2, 4)]
    """
    count = min(depth, other_depth)
    steps = max(count - 1, 1)
    return [
        (round(i * (depth - 1) / steps), round(i * (other_depth - 1) / steps)) for i in range(count)
    ]


def describe_meeting(
    shapes: tuple[Sequence[int], Sequence[int]], languages: Sequence[str], name: str
) -> str:
    """Say how models of different depth or width are matched; nothing if they have the same shape.

    Args:
        shapes: Layers (the embeddings' output included) and width of the source and the target.
        languages: Their names.
        name: Name of the map, as in the settings.

    Example:
        >>> print(describe_meeting(((3, 12), (5, 16)), ("en", "fr"), "procrustes"))
        layers of en and fr at equal relative depth: 0-0, 1-2, 2-4; widths 12 and 16: the \
source is padded with zeros
    """
    (depth, width), (other_depth, other_width) = shapes
    parts = []
    if depth != other_depth:
        pairs = ", ".join(f"{i}-{j}" for i, j in matched_layers(depth, other_depth))
        parts.append(
            f"layers of {languages[0]} and {languages[1]} at equal relative depth: {pairs}"
        )
    if width != other_width:
        parts.append(
            f"widths {width} and {other_width}: {meeting_of_widths(width, other_width, name)}"
        )
    return "; ".join(parts)


def meeting_of_widths(width: int, other_width: int, name: str) -> str:
    """Say how a map treats a source and a target of different width."""
    if name != "procrustes":
        return "a regression maps one to the other"
    if width < other_width:
        return "the source is padded with zeros"
    return (
        "the target is padded with zeros for the fit, and what it has no room for of the mapped "
        "source is dropped"
    )


def fit_pairs(X: Matrix, Y: Matrix, settings: AlignSettings) -> Alignment:
    """Normalise each side on its training vectors and fit the map.

    Raises:
        XlingError: as the normalisation and the map do, for example for fewer pairs than
            dimensions.
    """
    return fit_vocabularies(X, Y, np.arange(len(X)).repeat(2).reshape(-1, 2), settings)


def fit_vocabularies(
    X: Matrix, Y: Matrix, pairs: NDArray[np.int64], settings: AlignSettings
) -> Alignment:
    """Normalise each side on its whole vocabulary and fit the map on pairs of rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "iterative normalisation is not stable", RuntimeWarning)
        source, target = (
            _fitted(side, language, settings)
            for side, language in zip((X, Y), settings.languages, strict=True)
        )
    x, y = source.transform(X), target.transform(Y)
    kinds: dict[str, Callable[[], LinearMap]] = {
        "procrustes": Procrustes,
        "least-squares": LeastSquares,
        "ridge": lambda: Ridge(settings.penalty),
    }
    fitted = kinds[settings.map]().fit(x[pairs[:, 0]], y[pairs[:, 1]])
    return Alignment(source, target, fitted)


def _fitted(X: Matrix, language: str, settings: AlignSettings) -> Normalizer:
    try:
        return Normalizer(settings.normalization).fit(X)
    except XlingError as error:
        raise XlingError(
            f"{language}: its vectors cannot be aligned, since the model hardly tells its texts "
            f"apart ({error}); take a model and a tokenizer that know the language"
        ) from None


def retrieval_scores(
    X: Matrix,
    Y: Matrix,
    gold: NDArray[np.int64],
    languages: Sequence[str],
    settings: AlignSettings,
    missing: int = 0,
    influence: dict[Key, Floats] | None = None,
) -> Iterator[Score]:
    """Score retrieval in one space by cosine, CSLS and margin, in both directions.

    Args:
        X: Source vectors [n, d], mapped.
        Y: Target vectors [m, d].
        gold: int64 array [pairs, 2] of rows.
        languages: Their names.
        settings: k and the resamples of intervals.
        missing: Number of queries in either direction without a vector: they count as not found.
        influence: Receives the influence values of p@1's means over directions; queries without a
            vector come last.

    Yields:
        Scores without probe, data set and layer: ``p@1`` with its 95 % interval, ``p@5``, ``p@10``,
        ``mrr`` and ``hubness`` (skewness of 10-occurrence), each also with the suffix ``-csls`` and
        ``-margin``; in the directions ``en>fr`` and ``fr>en``, and their mean.
    """
    a, b = languages
    for suffix, similarity in SIMILARITIES.items():
        try:
            rankings = rank_translations(X, Y, gold, similarity, settings.k)
        except XlingError as error:
            if similarity != "margin":
                raise
            warnings.warn(f"no margin ratio: {error}", stacklevel=2)
            continue
        sides = ((X, Y), (Y, X))
        hubness = [translate(*side, 10, similarity, settings.k).hubness for side in sides]
        found: dict[str, list[float]] = {}
        halves: list[Floats] = []
        for direction, ranking, skewness in zip(
            (f"{a}>{b}", f"{b}>{a}"), rankings, hubness, strict=True
        ):
            padding = np.zeros(missing)
            values = {f"p@{k}": np.concatenate([ranking.hits(k), padding]) for k in _RANKS} | {
                "mrr": np.concatenate([ranking.reciprocal_ranks, padding])
            }
            halves.append(of_mean(values["p@1"]) / 2)
            one_way = Score(language=pair_name(languages), direction=direction, n=len(halves[-1]))
            scores = {name: float(hits.mean()) for name, hits in values.items()}
            for name, value in {**scores, "hubness": skewness}.items():
                found.setdefault(name, []).append(value)
                score = one_way._replace(metric=f"{name}{suffix}", value=value)
                if name == "p@1" and settings.resamples:
                    ends = bootstrap_interval(values["p@1"], 0, settings.resamples)
                    score = score._replace(low=float(ends[0]), high=float(ends[1]))
                yield score
        moved = of_sum(halves)
        for name, both in found.items():
            key = Key(language=pair_name(languages), metric=f"{name}{suffix}")
            if name == "p@1" and influence is not None:
                influence[key] = moved
            yield key.score(float(np.mean(both)), n=len(moved))
