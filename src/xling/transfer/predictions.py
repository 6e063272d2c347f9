"""Predictions in each task's own format, and what is wrong in them.

Every file has the format of its gold file (see the data layout), so that external scorers and the
reader of this project can read it. The tables of errors are rows (dictionaries with the same keys)
that ``pandas.DataFrame`` takes as they are; counts are exact, so rows of several seeds add up.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.data.conllu import Tree, read_conllu
from xling.errors import XlingError
from xling.files import atomic_file, open_bytes
from xling.transfer.attachment import (
    UNSEEN,
    all_heads,
    all_relations,
    check_same_words,
    universal,
    word_hits,
)
from xling.transfer.spans import Span, Tags, spans

UNSEEN_RELATION = "unseen"  # what a word past the model's limit gets: no treebank's relation
_HEAD, _RELATION = 6, 7  # columns of CoNLL-U


def write_conllu(path: Path, gold: Path, predicted: Sequence[Tree]) -> None:
    """Write predicted trees with everything else as in the gold file.

    Comments, multiword tokens, empty nodes and all columns but HEAD and DEPREL are kept byte for
    byte. Words with head `UNSEEN` get a head that completes a tree and is not the gold head, so
    that other scorers count them wrong too (see `completed`).

    Args:
        path: File to write, atomically.
        gold: File that the gold trees came from, plain or ``.gz``.
        predicted: One tree for each of its sentences; heads and relations are read.
    """
    trees = list(read_conllu(gold))
    check_same_words(trees, predicted)
    pairs = zip(trees, predicted, strict=True)
    words = (
        word
        for tree, guess in pairs
        for whole in [completed(guess, tree.heads)]
        for word in zip(whole.heads, whole.relations, strict=True)
    )
    with atomic_file(path) as file:
        for line in _raw_lines(gold):
            fields = line.split("\t")
            if fields[0].isdecimal():
                head, fields[_RELATION] = next(words)
                fields[_HEAD] = str(head)
            file.write("\t".join(fields) + "\n")


def write_iob2(path: Path, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Write (tokens, tags) of each sentence as ``token TAB tag``, atomically."""
    with atomic_file(path) as file:
        for tokens, tags in sentences:
            for pair in zip(tokens, tags, strict=True):
                file.write("\t".join(pair) + "\n")
            file.write("\n")


def write_labels(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write tab-separated rows, atomically.

    For NLI (premise, hypothesis, label), for topics (id, label, text).

    Raises:
        XlingError: A tab or a line end inside a field.
    """
    with atomic_file(path) as file:
        for number, row in enumerate(rows, 1):
            if any("\t" in field or "\n" in field for field in row):
                raise XlingError(f"{path}: row {number} has a tab or line end inside a field")
            file.write("\t".join(row) + "\n")


def completed(predicted: Tree, gold_heads: Sequence[int]) -> Tree:
    """Give unseen words wrong heads that complete one tree, and `UNSEEN_RELATION`.

    They attach to the root word, or to another word if the root word is their gold head. If no word
    was seen, one of them has to be the root. If there is no wrong choice (only the root was seen
    and it heads all others, or the sentence is that short) one head is right; the relation never
    is.
    """
    heads = list(predicted.heads)
    unseen = [word for word, head in enumerate(heads, 1) if head == UNSEEN]
    if not unseen:
        return predicted
    seen = [word for word, head in enumerate(heads, 1) if head != UNSEEN]
    if not seen:
        root = next((word for word in unseen if gold_heads[word - 1] != 0), unseen[0])
        heads[root - 1] = 0
        seen = [root]
    else:
        seen.sort(key=lambda word: heads[word - 1] != 0)
    # Words that the root does not head come first, so the others can attach to them.
    for word in sorted(unseen, key=lambda word: gold_heads[word - 1] == seen[0]):
        if heads[word - 1] == UNSEEN:
            wrong = (head for head in seen if head != gold_heads[word - 1])
            heads[word - 1] = next(wrong, seen[0])
            seen.append(word)
    relations = list(predicted.relations)
    for word in unseen:
        relations[word - 1] = UNSEEN_RELATION
    return replace(predicted, heads=heads, relations=relations)


def _raw_lines(path: Path) -> Iterator[str]:
    """Yield lines as they are in the file, not in NFC, which external scorers do not expect."""
    with open_bytes(path) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n"):
            yield line.rstrip("\r\n")


Row = dict[str, object]

_SENTENCE_LENGTHS = (1, 6, 11, 21, 31, 41)  # first length of each band
_ARC_LENGTHS = (0, 1, 2, 3, 7)  # 0 stands for the root


def label_confusion(gold: Sequence[str], predicted: Sequence[str]) -> list[Row]:
    """Count pairs of gold and predicted labels, right ones included, commonest pairs first.

    Returns:
        Rows of gold, predicted, count, share (of the items with that gold label).
    """
    if len(gold) != len(predicted):
        raise XlingError(f"found {len(predicted)} predicted labels, expected {len(gold)}")
    totals = Counter(gold)
    pairs = Counter(zip(gold, predicted, strict=True))
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"gold": right, "predicted": guess, "count": count, "share": count / totals[right]}
        for (right, guess), count in ordered
    ]


def span_errors(gold: Sequence[Tags], predicted: Sequence[Tags]) -> list[Row]:
    """Count what became of the entities: each gold and each predicted entity once.

    A gold entity is paired with the predicted one that has the same borders, else with the one of
    the rest that shares most tokens with it.

    Returns:
        Rows of error (right, type, borders, borders and type, missed, spurious), gold and predicted
        (entity types; None where there is none) and count, commonest first.
    """
    if len(gold) != len(predicted):
        raise XlingError(f"found {len(predicted)} tagged sentences, expected {len(gold)}")
    counts: Counter[tuple[str, str | None, str | None]] = Counter()
    for right, guess in zip(gold, predicted, strict=True):
        for pair in _paired(sorted(spans(right)), sorted(spans(guess))):
            counts[_kind(*pair), pair[0] and pair[0][2], pair[1] and pair[1][2]] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return [
        {"error": error, "gold": right, "predicted": guess, "count": count}
        for (error, right, guess), count in ordered
    ]


def attachment_by_relation(gold: Sequence[Tree], predicted: Sequence[Tree]) -> list[Row]:
    """Score attachment by gold relation, without subtypes, commonest relations first.

    Returns:
        Rows of relation, words, uas, las.
    """
    relations = np.array([universal(name) for name in all_relations(gold)], dtype=object)
    names = [name for name, _ in Counter(relations.tolist()).most_common()]
    scored = _scorer(gold, predicted)
    return [{"relation": name, **scored(relations == name)} for name in names]


def attachment_by_sentence_length(gold: Sequence[Tree], predicted: Sequence[Tree]) -> list[Row]:
    """Score attachment by the number of words in the sentence.

    Returns:
        Rows of length (such as ``11-20``, shortest first), sentences, words, uas, las.
    """
    lengths = check_same_words(gold, predicted)
    of_words = np.repeat(lengths, lengths)
    scored = _scorer(gold, predicted)
    return [
        {
            "length": name,
            "sentences": int(((lengths >= low) & (lengths < high)).sum()),
            **scored((of_words >= low) & (of_words < high)),
        }
        for name, low, high in _bands(_SENTENCE_LENGTHS, lengths)
    ]


def attachment_by_arc_length(gold: Sequence[Tree], predicted: Sequence[Tree]) -> list[Row]:
    """Score attachment by how far away the gold head is.

    Returns:
        Rows of distance (``root``, then in words, nearest first), words, uas, las.
    """
    lengths = check_same_words(gold, predicted)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(1, lengths.sum() + 1) - np.repeat(starts, lengths)
    heads = all_heads(gold)
    distances = np.where(heads == 0, 0, np.abs(heads - places))
    scored = _scorer(gold, predicted)
    return [
        {
            "distance": "root" if name == "0" else name,
            **scored((distances >= low) & (distances < high)),
        }
        for name, low, high in _bands(_ARC_LENGTHS, distances)
    ]


def relation_confusion(gold: Sequence[Tree], predicted: Sequence[Tree]) -> list[Row]:
    """Count pairs of relations as `label_confusion` does, for words whose head is right."""
    check_same_words(gold, predicted)
    right_head, _ = word_hits(gold, predicted)
    pairs = zip(all_relations(gold), all_relations(predicted), strict=True)
    kept = [
        (universal(name), universal(guess))
        for right, (name, guess) in zip(right_head.tolist(), pairs, strict=True)
        if right
    ]
    return label_confusion([name for name, _ in kept], [guess for _, guess in kept])


def _scorer(gold: Sequence[Tree], predicted: Sequence[Tree]) -> Callable[[NDArray[np.bool_]], Row]:
    """Return a function that scores the words that a mask over all words selects."""
    check_same_words(gold, predicted)
    right_head, right_relation = word_hits(gold, predicted)
    hits = {"uas": right_head, "las": right_head & right_relation}

    def scored(chosen: NDArray[np.bool_]) -> Row:
        words = int(chosen.sum())
        return {"words": words, **{name: float(hit[chosen].mean()) for name, hit in hits.items()}}

    return scored


def _bands(starts: Sequence[int], values: NDArray[np.int64]) -> Iterator[tuple[str, int, int]]:
    """Yield (name, first value, first value beyond) of the bands that have values."""
    largest = int(values.max(initial=0))
    for low, high in pairwise([*starts, max(largest, starts[-1]) + 1]):
        if ((values >= low) & (values < high)).any():
            last = low == starts[-1]
            one = str(low) if high == low + 1 else f"{low}-{high - 1}"
            yield (f"{low}+" if last else one), low, high


def _paired(right: list[Span], guess: list[Span]) -> Iterator[tuple[Span | None, Span | None]]:
    """Pair gold with predicted entities of a sentence, each once; None where there is none."""
    by_borders = {span[:2]: span for span in guess}
    exact = [(span, by_borders[span[:2]]) for span in right if span[:2] in by_borders]
    yield from exact
    taken = {other for _, other in exact}
    left = [span for span in guess if span not in taken]
    for span in right:
        if span[:2] in by_borders:
            continue
        nearest = max(left, key=lambda other: _shared(span, other), default=None)
        if nearest is None or not _shared(span, nearest):
            yield span, None
        else:
            left.remove(nearest)
            yield span, nearest
    for other in left:
        yield None, other


def _shared(one: Span, other: Span) -> int:
    """Return the number of tokens that two entities share."""
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _kind(right: Span | None, guess: Span | None) -> str:
    if right is None:
        return "spurious"
    if guess is None:
        return "missed"
    wrong = [
        name
        for name, same in (("borders", right[:2] == guess[:2]), ("type", right[2] == guess[2]))
        if not same
    ]
    return " and ".join(wrong) or "right"
