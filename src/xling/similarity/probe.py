"""Probes of one language pair: CKA and retrieval, layer by layer, with their bounds."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import bootstrap_interval
from xling.data.layout import DataFolder
from xling.device import measuring_device
from xling.encoders.config import Pooling
from xling.encoders.coverage import coverage_of_tokens, warn_of_lost_text
from xling.encoders.encoder import Encoder
from xling.encoders.random_encoder import untrained_twins
from xling.encoders.representations import pooled_vectors
from xling.encoders.sentences import Sentences, View, evenly_spaced, shared_ids, tokenise
from xling.influence import Floats, of_mean
from xling.influence import over_draws as influence_over_draws
from xling.measures.cka import linear_cka
from xling.measures.retrieval import precision_at_1
from xling.names import pair_name
from xling.progress import bar
from xling.results import CHANCE, TRAINED, UNTRAINED, Key, Score, as_table, over_draws
from xling.similarity.config import ProbeConfig

if TYPE_CHECKING:
    import pandas as pd

ANCHOR_FREE = "-anchor-free"
RETRIEVAL_METRICS = {"p@1": False, "p@1-centred": True}  # name to whether sides are centred


class _Side:
    """One language's tokenised lines of a set, and the ids that each form of a probe leaves out."""

    def __init__(
        self, sentences: Sentences, anchors: NDArray[np.int64], pooling: Pooling = "mean"
    ) -> None:
        self.sentences = sentences
        self.anchors = anchors
        self.views = {"": View(pooling)}
        if pooling in ("mean", "weighted"):  # nothing can be left out of a single token
            self.views[ANCHOR_FREE] = View(pooling, anchors)

    def empty(self, form: str) -> NDArray[np.bool_]:
        return self.sentences.empty(self.views[form].excluded)

    def anchor_share(self) -> tuple[float, int]:
        """Return the share of running tokens left out as anchors, and the number of tokens."""
        ordinary = ~self.sentences.special
        if not ordinary.any():
            return 0.0, 0
        kept = self.sentences.kept(self.anchors)[ordinary]
        return 1 - float(kept.mean()), len(kept)


def probe_pair(
    a: Encoder,
    b: Encoder,
    data: DataFolder,
    config: ProbeConfig,
    influence: dict[Key, Floats] | None = None,
) -> "pd.DataFrame":
    """Measure on a data folder's parallel sets how similar two languages' representations are.

    Calls :func:`probe_lines` with the sets that the configuration names.

    Args:
        a: Encoder of the base language.
        b: Encoder of the other language.
        data: Data folder with parallel sets of both languages.
        config: Sets, lines, seeds of the random encoders.
        influence: Receives the influence values of both directions' retrieval, trained and random.

    Raises:
        XlingError: if no parallel set has both languages, or one asked for does not exist.
    """
    names = data.sets_to_score((a.language, b.language), config.datasets)
    sets = {name: data.parallel(name, a.language, b.language) for name in names}
    return probe_lines(a, b, sets, config, influence)


def probe_lines(
    a: Encoder,
    b: Encoder,
    lines: Mapping[str, Mapping[str, Sequence[str]]],
    config: ProbeConfig,
    influence: dict[Key, Floats] | None = None,
) -> "pd.DataFrame":
    """Measure at every layer how similar two languages' representations are.

    Both encoders are compared layer by layer, up to the depth of the shallower, on sentence vectors
    of parallel lines. There are two forms: over all tokens, and (anchor-free) over the tokens that
    the two sides do not share; only the first if one token represents a line (pooling ``first`` or
    ``last``). The same is measured with random encoders of the same shape that share the same
    parameters. docs/probes.md says how to read the figures.

    Args:
        a: Encoder of the base language.
        b: Encoder of the other language.
        lines: For each set, by name, the lines of each language; line i means the same in both.
        config: Lines, how each becomes a vector, and seeds of the random encoders.
        influence: Receives the influence values of both directions' retrieval, trained and random.

    Returns:
        A table of scores (`xling.results`):

        - probe ``cka`` and ``cka-anchor-free``: language ``"en-fr"``, metric ``cka``.
        - probe ``retrieval`` and ``retrieval-anchor-free``: language ``"en-fr"``, in the directions
          ``"en>fr"`` and ``"fr>en"``, and their mean without a direction; metrics ``p@1`` and
          ``p@1-centred``, with 95 % intervals.
        - Bounds: condition ``untrained`` is the mean of the random encoders; the rows with ``draw``
          1 are those of seed 1. Condition ``chance`` is 1 / sentences.
        - probe ``coverage``, no layer: ``sentences`` (language ``"en-fr"``); for each language
          ``truncated`` (lines cut at the model's limit), ``empty`` and ``empty-anchor-free``
          (lines that keep no token) and ``anchor-tokens`` (share of running tokens left out).

        Lines without a token on either side count as misses in retrieval and are left out of CKA.
    """
    pair = (a.language, b.language if b.language != a.language else f"{b.language}'")
    rows: list[Score] = []
    kept: dict[Key, Floats] = {} if influence is None else influence
    sets: dict[str, tuple[_Side, _Side]] = {}
    for name, of_set in lines.items():
        sets[name] = _tokenised(a, b, of_set, config)
        rows += _coverage(name, pair, sets[name])
        seen = zip((a, b), sets[name], strict=True)
        warn_of_lost_text(name, [coverage_of_tokens(code, side.sentences) for code, side in seen])
    total = sum(len(side.sentences) for sides in sets.values() for side in sides)
    total *= 1 + len(config.random_seeds)
    place = measuring_device(a.device)
    with bar(f"Probing {pair_name(pair)}", total, "sentences") as advance:
        for name, sides in sets.items():
            vectors = _vectors((a, b), sides, config, advance)
            scores = list(_scores(name, pair, sides, vectors, config.resamples, kept, device=place))
            rows += [*scores, *_chance(scores)]
        random: list[Score] = []
        of_random: list[dict[Key, Floats]] = []
        twins = untrained_twins((a, b), config.random_seeds)
        for seed, untrained in zip(config.random_seeds, twins, strict=False):
            of_random.append({})
            for name, sides in sets.items():
                vectors = _vectors(untrained, sides, config, advance)
                bounds = _scores(name, pair, sides, vectors, 0, of_random[-1], UNTRAINED, place)
                random += [score._replace(draw=seed) for score in bounds]
    kept |= influence_over_draws(of_random)
    return as_table([*rows, *over_draws(random), *random])


def _tokenised(
    a: Encoder, b: Encoder, lines: Mapping[str, Sequence[str]], config: ProbeConfig
) -> tuple[_Side, _Side]:
    used = evenly_spaced(lines, config.maximum_lines)
    one = tokenise(a, used[a.language], config.prefix)
    other = tokenise(b, used[b.language], config.prefix)
    anchors = shared_ids(one, other)
    return _Side(one, anchors[0], config.pooling), _Side(other, anchors[1], config.pooling)


def _vectors(
    encoders: Sequence[Encoder],
    sides: tuple[_Side, _Side],
    config: ProbeConfig,
    advance: bar,
) -> list[dict[str, NDArray[np.float32]]]:
    """For each side and form the sentence vectors [L + 1, N, d], from one pass over each side."""
    return [
        pooled_vectors(
            encoder, side.sentences, side.views, config.batch_tokens, advance, config.precision
        )
        for encoder, side in zip(encoders, sides, strict=True)
    ]


def _scores(
    dataset: str,
    pair: tuple[str, str],
    sides: tuple[_Side, _Side],
    vectors: Sequence[Mapping[str, NDArray[np.float32]]],
    resamples: int,
    influence: dict[Key, Floats],
    condition: str = TRAINED,
    device: Any = None,
) -> Iterator[Score]:
    for form in sides[0].views:
        x_LND, y_LND = vectors[0][form], vectors[1][form]
        whole = ~(sides[0].empty(form) | sides[1].empty(form))
        for layer, (x, y) in enumerate(zip(x_LND, y_LND, strict=False)):
            if np.count_nonzero(whole) > 1:
                key = Key(f"cka{form}", dataset, pair_name(pair), "", layer, condition, None, "cka")
                lines = int(np.count_nonzero(whole))
                yield key.score(linear_cka(x[whole], y[whole], device), n=lines)
        if x_LND.shape[-1] == y_LND.shape[-1]:
            key = Key(f"retrieval{form}", dataset, pair_name(pair), condition=condition)
            yield from _retrieval(key, pair, x_LND, y_LND, resamples, influence, device)
        else:
            warnings.warn(
                f"{pair[0]} has width {x_LND.shape[-1]} and {pair[1]} {y_LND.shape[-1]}: CKA "
                "only, since retrieval needs one space",
                stacklevel=2,
            )


def _retrieval(
    of_both: Key,
    pair: tuple[str, str],
    x_LND: NDArray[np.float32],
    y_LND: NDArray[np.float32],
    resamples: int,
    influence: dict[Key, Floats],
    device: Any,
) -> Iterator[Score]:
    directions = (f"{pair[0]}>{pair[1]}", f"{pair[1]}>{pair[0]}", "")
    keys: list[Key] = []
    hits: list[NDArray[np.float64]] = []
    for layer, (x, y) in enumerate(zip(x_LND, y_LND, strict=False)):
        for metric, centre in RETRIEVAL_METRICS.items():
            found = precision_at_1(x, y, centre, device)
            both = found.hits
            key = of_both._replace(layer=layer, metric=metric)
            keys += [key._replace(direction=direction) for direction in directions]
            hits += [found.forward_hits, found.backward_hits, both]
            influence[key] = of_mean(both)
    scores = np.stack(hits)
    ends = bootstrap_interval(scores, seed=0, resamples=resamples) if resamples else None
    for number, key in enumerate(keys):
        low, high = (float(end[number]) for end in ends) if ends else (None, None)
        yield key.score(float(scores[number].mean()), low, high, scores.shape[1])


def _chance(scores: Sequence[Score]) -> Iterator[Score]:
    for score in scores:
        if score.metric in RETRIEVAL_METRICS and not score.direction and score.n:
            yield score.key._replace(condition=CHANCE).score(1 / score.n, n=score.n)


def _coverage(dataset: str, pair: tuple[str, str], sides: tuple[_Side, _Side]) -> Iterator[Score]:
    lines = len(sides[0].sentences)

    def row(language: str, metric: str, value: float, n: int = lines) -> Score:
        return Score("coverage", dataset, language, metric=metric, value=float(value), n=n)

    yield row(pair_name(pair), "sentences", lines)
    for language, side in zip(pair, sides, strict=True):
        yield row(language, "truncated", side.sentences.truncated)
        yield row(language, "empty", side.empty("").sum())
        if ANCHOR_FREE in side.views:
            yield row(language, "empty-anchor-free", side.empty(ANCHOR_FREE).sum())
        yield row(language, "anchor-tokens", *side.anchor_share())
