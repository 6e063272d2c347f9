"""Entity spans of IOB2 tags: the paper's repair, and strict F1 (Conneau et al. 2020, section 3.2).

A predicted tag sequence may break IOB2. It is read as Wu and Dredze (2019) and the paper do: a
span starts at B-X, or at I-X with nothing before it to continue; it goes through every I-Y that
follows, whatever its type; and it takes the type of its last token. Valid IOB2 tags mean
the same before and after. A span counts as found only if start, end and type are all right.

Without repair a span is B-X with every I-X that follows, and an I-X that continues no span is
ignored, as in seqeval's strict mode under IOB2. F1 is then several points lower.

Scores come from counts per sentence, so that `xling.bootstrap` can resample sentences by adding
up rows. All functions treat gold and predicted tags alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import Counts, ratio
from xling.errors import XlingError

Span = tuple[int, int, str]  # first token, one past the last token, type
Tags = Sequence[str]


def spans(tags: Tags) -> set[Span]:
    """Return a sentence's entities as (first token, one past the last, type).

    Example:
        >>> sorted(spans(["I-PER", "I-ORG", "O", "B-LOC", "B-LOC"]))
        [(0, 2, 'ORG'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    types = entity_types([tags])
    found = _flat_spans([tags], types)
    ends = (found.last + 1).tolist()
    names = [types[kind] for kind in found.kind.tolist()]
    return set(zip(found.first.tolist(), ends, names, strict=True))


def repair(tags: Tags) -> list[str]:
    """Return valid IOB2 tags with the entities that `spans` reads in ``tags``.

    Example:
        >>> repair(["I-PER", "I-ORG", "O", "B-LOC"])
        ['B-ORG', 'I-ORG', 'O', 'B-LOC']
    """
    repaired = ["O"] * len(tags)
    for first, end, kind in spans(tags):
        repaired[first:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - first - 1)
    return repaired


def entity_types(*collections: Sequence[Tags]) -> tuple[str, ...]:
    """Return the sorted entity types that occur in collections of sentences' tags."""
    tags = set(chain.from_iterable(chain.from_iterable(collections)))
    return tuple(sorted({tag[2:] for tag in tags if tag != "O"}))


def span_counts(
    gold: Sequence[Tags], predicted: Sequence[Tags], types: Sequence[str], repaired: bool = True
) -> NDArray[np.int64]:
    """Count, for each sentence and type, the spans found, predicted and in gold.

    Args:
        gold: Tags of N sentences.
        predicted: Tags of the same sentences, one per token; O for a token no model has seen.
        types: The entity types, T of them; see `entity_types`.
        repaired: Whether tags that break IOB2 are read with the paper's repair.

    Returns:
        Array [N, T, 3] of (true positives, predicted, gold).

    Raises:
        XlingError: Different numbers of sentences or of tags, or a tag that is not O, B-X or I-X
            with X one of ``types``.
    """
    if list(map(len, gold)) != list(map(len, predicted)):
        raise XlingError(f"predicted tags do not match gold: {_mismatch(gold, predicted)}")
    right, guess = (_flat_spans(tags, types, repaired) for tags in (gold, predicted))
    counts = np.empty((len(gold), len(types), 3), np.int64)
    counts[..., 0] = _per_sentence(_common(right, guess), counts.shape)
    counts[..., 1] = _per_sentence(guess, counts.shape)
    counts[..., 2] = _per_sentence(right, counts.shape)
    return counts


def precision(counts: Counts) -> NDArray[np.float64]:
    """Share of predicted spans that are right; counts [..., 3] to [...], 0 where none."""
    return ratio(counts[..., 0], counts[..., 1])


def recall(counts: Counts) -> NDArray[np.float64]:
    """Share of gold spans that were found; counts [..., 3] to [...], 0 where none."""
    return ratio(counts[..., 0], counts[..., 2])


def f1(counts: Counts) -> NDArray[np.float64]:
    """Harmonic mean of precision and recall; counts [..., 3] to [...], 0 where nothing is right.

    Per type on ``counts.sum(axis=0)``; micro on ``counts.sum(axis=(0, 1))``.
    """
    return ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def micro_f1(counts: Counts) -> NDArray[np.float64]:
    """F1 over all types; summed counts [..., T, 3] to [...]: the statistic to bootstrap."""
    return f1(counts.sum(axis=-2))


@dataclass(frozen=True, eq=False)
class _FlatSpans:
    """Spans of many sentences, sorted by position; arrays of one item per span.

    Tokens are numbered through all sentences.
    """

    sentence: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    kind: NDArray[np.int64]


def _flat_spans(
    sentences: Sequence[Tags], types: Sequence[str], repaired: bool = True
) -> _FlatSpans:
    lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
    codes = _coded(sentences, types, int(lengths.sum()))
    # O is 0; B-X and I-X of type t are 2t + 1 and 2t + 2.
    outside, inside = codes == 0, (codes > 0) & (codes % 2 == 0)
    after_border = np.ones(len(codes) + 1, bool)
    after_border[1:-1] = outside[:-1]
    after_border[np.cumsum(lengths)] = True
    goes_on = inside & ~after_border[:-1]
    if not repaired:
        goes_on[1:] &= (codes[1:] - 1) // 2 == (codes[:-1] - 1) // 2
        # Tokens that continue one another are a span if the first of them is a B.
        begins = np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(codes))))
        outside |= inside[begins]
    first = np.flatnonzero(~outside & ~goes_on)
    last = np.flatnonzero(~outside & ~np.append(goes_on[1:], False))
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    return _FlatSpans(sentence[first], first, last, (codes[last] - 1) // 2)


def _coded(sentences: Sequence[Tags], types: Sequence[str], total: int) -> NDArray[np.int64]:
    names = ["O", *chain.from_iterable((f"B-{kind}", f"I-{kind}") for kind in types)]
    codes = {name: code for code, name in enumerate(names)}
    try:
        return np.fromiter(map(codes.__getitem__, chain.from_iterable(sentences)), np.int64, total)
    except KeyError as error:
        expected = f"expected {', '.join(names)}"
        raise XlingError(f"found tag {error.args[0]!r}, {expected}") from None


def _common(right: _FlatSpans, guess: _FlatSpans) -> _FlatSpans:
    """Return the gold spans that were predicted with the same ends and type."""
    _, own, other = np.intersect1d(right.first, guess.first, True, return_indices=True)
    same = (right.last[own] == guess.last[other]) & (right.kind[own] == guess.kind[other])
    kept = own[same]
    return _FlatSpans(right.sentence[kept], right.first[kept], right.last[kept], right.kind[kept])


def _per_sentence(found: _FlatSpans, shape: tuple[int, ...]) -> NDArray[np.int64]:
    sentences, types = shape[:2]
    cells = found.sentence * types + found.kind
    return np.bincount(cells, minlength=sentences * types).reshape(sentences, types)


def _mismatch(gold: Sequence[Tags], predicted: Sequence[Tags]) -> str:
    if len(gold) != len(predicted):
        return f"found {len(predicted)} sentences, expected {len(gold)}"
    pairs = enumerate(zip(gold, predicted, strict=True), 1)
    number, (right, guess) = next(pair for pair in pairs if len(pair[1][0]) != len(pair[1][1]))
    return f"sentence {number} has {len(guess)} tags, expected {len(right)}"


@dataclass(frozen=True)
class TagLookup:
    """Tags each word as it was tagged most often in training, O if it never occurred.

    Across languages it finds the names that both spell alike. (Tagging all words O, the other
    baseline of NER, has an F1 of 0 by definition.)

    Attributes:
        tags: The commonest tag of each training word that is not O.
    """

    tags: dict[str, str]

    @classmethod
    def learn(cls, sentences: Iterable[tuple[Sequence[str], Tags]]) -> "TagLookup":
        """Count the tags of each word in (tokens, tags) of training sentences."""
        counts: dict[str, Counter[str]] = {}
        for tokens, tags in sentences:
            for token, tag in zip(tokens, tags, strict=True):
                counts.setdefault(token, Counter())[tag] += 1
        commonest = {token: count.most_common(1)[0][0] for token, count in counts.items()}
        return cls({token: tag for token, tag in commonest.items() if tag != "O"})

    def predict(self, tokens: Sequence[str]) -> list[str]:
        """Return valid IOB2 tags of a sentence."""
        return repair([self.tags.get(token, "O") for token in tokens])
