import pytest

from xling.data.conllu import Tree
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.transfer.attachment import NeighbourAttachment, attachment_counts, las
from xling.transfer.classification import majority_label
from xling.transfer.spans import TagLookup, micro_f1, span_counts


def tree(heads, relations):
    words = len(heads)
    return Tree(1, None, ["w"] * words, ["X"] * words, list(heads), list(relations))


def test_majority_label():
    assert majority_label(["b", "a", "a", "c"]) == "a"
    assert majority_label(["b", "a"]) == "b"
    with pytest.raises(XlingError, match="no training data"):
        majority_label([])


def test_tag_lookup_takes_each_words_commonest_tag():
    sentences = [
        (["Paris", "is", "Paris"], ["B-LOC", "O", "B-LOC"]),
        (["Paris", "Hilton"], ["B-PER", "I-PER"]),
        (["is", "is"], ["B-ORG", "O"]),
    ]
    lookup = TagLookup.learn(sentences)
    assert lookup.tags == {"Paris": "B-LOC", "Hilton": "I-PER"}
    assert lookup.predict(["is", "Hilton", "new", "Paris", "Hilton"]) == [
        *["O", "B-PER", "O", "B-PER", "I-PER"]
    ]
    assert lookup.predict([]) == []


def test_neighbour_attachment_takes_the_better_direction_and_relation():
    rightward = [tree([2, 3, 4, 0], ["det", "det", "obj", "root"])]
    assert NeighbourAttachment.learn(rightward) == NeighbourAttachment(1, "det")
    leftward = [tree([0, 1, 2], ["root", "obl", "obl"]), tree([2, 0], ["det", "root"])]
    learnt = NeighbourAttachment.learn(leftward)
    assert learnt == NeighbourAttachment(-1, "obl")
    found = learnt.predict(tree([3, 3, 0], ["x", "x", "root"]))
    assert (found.heads, found.relations) == ([0, 1, 2], ["root", "obl", "obl"])
    assert learnt.predict(tree([0], ["x"])).relations == ["root"]
    with pytest.raises(XlingError, match="no training trees"):
        NeighbourAttachment.learn([])


def test_learning_beats_every_other_neighbour_rule_on_its_data(real_data):
    trees = list(DataFolder(real_data).treebank("en", "dev"))[:400]

    def score(baseline):
        found = [baseline.predict(tree) for tree in trees]
        return las(attachment_counts(trees, found).sum(axis=0))

    best = score(NeighbourAttachment.learn(trees))
    relations = sorted({name for tree in trees for name in tree.relations})
    every = [score(NeighbourAttachment(side, name)) for side in (-1, 1) for name in relations[:8]]
    assert best >= max(every)
    assert 0.03 < best < 0.3


def test_tag_lookup_finds_some_names_in_another_language(real_data):
    data = DataFolder(real_data)
    lookup = TagLookup.learn(data.ner("en", "train"))
    sentences = list(data.ner("fr", "test"))[:500]
    gold = [tags for _, tags in sentences]
    found = [lookup.predict(tokens) for tokens, _ in sentences]
    counts = span_counts(gold, found, ("LOC", "ORG", "PER")).sum(axis=0)
    assert 0.05 < micro_f1(counts) < 0.6
