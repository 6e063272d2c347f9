from collections import Counter

import numpy as np
import pytest

from xling.data.conllu import Tree
from xling.errors import XlingError
from xling.transfer.attachment import UNSEEN, attachment_counts
from xling.transfer.predictions import (
    attachment_by_arc_length,
    attachment_by_relation,
    attachment_by_sentence_length,
    label_confusion,
    relation_confusion,
    span_errors,
)
from xling.transfer.spans import spans

RELATIONS = ["nsubj", "nsubj:pass", "punct", "obl"]
TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]


def random_trees(sentences=200):
    random = np.random.default_rng(0)
    gold, predicted = [], []
    for words in random.integers(1, 50, size=sentences):
        for side in (gold, predicted):
            heads = [max(0, word - int(random.integers(1, 4))) for word in range(1, words + 1)]
            names = random.choice(RELATIONS, words).tolist()
            side.append(Tree(1, None, ["w"] * words, ["X"] * words, heads, names))
        predicted[-1].heads[-1] = UNSEEN
    return gold, predicted


def test_label_confusion_counts_every_pair():
    rows = label_confusion(["a", "a", "b", "a"], ["b", "a", "b", "a"])
    assert rows == [
        {"gold": "a", "predicted": "a", "count": 2, "share": 2 / 3},
        {"gold": "a", "predicted": "b", "count": 1, "share": 1 / 3},
        {"gold": "b", "predicted": "b", "count": 1, "share": 1.0},
    ]
    with pytest.raises(XlingError, match="found 1 predicted labels, expected 2"):
        label_confusion(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("gold", "predicted", "errors"),
    [
        ("B-PER I-PER O", "B-PER I-PER O", {("right", "PER", "PER")}),
        ("B-PER I-PER O", "B-ORG I-ORG O", {("type", "PER", "ORG")}),
        ("B-PER I-PER O", "B-PER O O", {("borders", "PER", "PER")}),
        ("B-PER I-PER O", "O B-ORG I-ORG", {("borders and type", "PER", "ORG")}),
        ("B-PER I-PER O", "O O B-ORG", {("missed", "PER", None), ("spurious", None, "ORG")}),
        # The exact one is taken first, then the one that shares most.
        ("O B-PER O", "B-ORG B-PER O", {("right", "PER", "PER"), ("spurious", None, "ORG")}),
        (
            "B-PER I-PER I-PER",
            "B-ORG B-PER I-PER",
            {("borders", "PER", "PER"), ("spurious", None, "ORG")},
        ),
    ],
)
def test_span_errors_by_kind(gold, predicted, errors):
    rows = span_errors([gold.split()], [predicted.split()])
    assert {(row["error"], row["gold"], row["predicted"]) for row in rows} == errors
    assert all(row["count"] == 1 for row in rows)


def test_span_errors_count_every_entity_once():
    random = np.random.default_rng(1)
    sides = [
        [random.choice(TAGS, size).tolist() for size in random.integers(0, 12, size=500)]
        for _ in range(2)
    ]
    predicted = [tags[: len(gold)] + ["O"] * len(gold) for gold, tags in zip(*sides, strict=True)]
    sides[1] = [tags[: len(gold)] for gold, tags in zip(sides[0], predicted, strict=True)]
    rows = span_errors(*sides)
    for side, name in zip(sides, ("gold", "predicted"), strict=True):
        expected = Counter(span[2] for tags in side for span in spans(tags))
        found = Counter()
        for row in rows:
            if row[name] is not None:
                found[row[name]] += row["count"]
        assert found == expected
    right = sum(row["count"] for row in rows if row["error"] == "right")
    assert right == sum(len(spans(a) & spans(b)) for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize(
    "table", [attachment_by_relation, attachment_by_sentence_length, attachment_by_arc_length]
)
def test_tables_of_attachment_add_up_to_the_score(table):
    gold, predicted = random_trees()
    rows = table(gold, predicted)
    words, heads, both = attachment_counts(gold, predicted).sum(axis=0)
    assert sum(row["words"] for row in rows) == words
    assert sum(row["words"] * row["uas"] for row in rows) == pytest.approx(heads)
    assert sum(row["words"] * row["las"] for row in rows) == pytest.approx(both)
    assert len({tuple(row) for row in rows}) == 1


def test_bands_hold_what_they_say():
    gold, predicted = random_trees()
    rows = {row["length"]: row for row in attachment_by_sentence_length(gold, predicted)}
    assert list(rows) == ["1-5", "6-10", "11-20", "21-30", "31-40", "41+"]
    for name, low, high in (("6-10", 6, 10), ("41+", 41, 99)):
        chosen = [pair for pair in zip(gold, predicted, strict=True) if low <= len(pair[0].heads)]
        chosen = [pair for pair in chosen if len(pair[0].heads) <= high]
        counts = sum(attachment_counts([a], [b])[0] for a, b in chosen)
        assert rows[name]["sentences"] == len(chosen)
        assert (rows[name]["words"], rows[name]["las"]) == (counts[0], counts[2] / counts[0])


def test_arcs_are_binned_by_the_gold_head():
    gold = Tree(1, None, ["w"] * 9, ["X"] * 9, [0, 1, 1, 1, 8, 1, 6, 1, 8], ["obl"] * 9)
    guess = Tree(1, None, ["w"] * 9, ["X"] * 9, [2, 1, 1, 1, 8, 1, 6, 1, 8], ["obl"] * 9)
    rows = {row["distance"]: row for row in attachment_by_arc_length([gold], [guess])}
    assert {name: row["words"] for name, row in rows.items()} == {
        **{"root": 1, "1": 3, "2": 1, "3-6": 3, "7+": 1}
    }
    assert rows["root"]["uas"] == 0
    assert rows["3-6"]["las"] == 1


def test_relations_are_confused_only_where_the_head_is_right():
    gold = Tree(1, None, ["w"] * 3, ["X"] * 3, [2, 0, 2], ["nsubj:pass", "root", "obj"])
    guess = Tree(1, None, ["w"] * 3, ["X"] * 3, [2, 0, 1], ["obj", "root", "iobj"])
    found = {(row["gold"], row["predicted"]) for row in relation_confusion([gold], [guess])}
    assert found == {("nsubj", "obj"), ("root", "root")}


def test_nothing_gives_no_rows():
    for table in (attachment_by_relation, attachment_by_sentence_length, attachment_by_arc_length):
        assert table([], []) == []
    assert span_errors([], []) == label_confusion([], []) == relation_confusion([], []) == []
