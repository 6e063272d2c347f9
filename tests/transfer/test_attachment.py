from dataclasses import replace

import numpy as np
import pytest

from xling.data.conllu import Tree, read_conllu
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.transfer.attachment import UNSEEN, attachment_counts, las, uas
from xling.transfer.predictions import write_conllu

RELATIONS = ["root", "nsubj", "nsubj:pass", "punct", "obl:tmod", "obl", "acl:relcl"]


def tree(heads, relations):
    words = len(heads)
    return Tree(1, None, ["w"] * words, ["X"] * words, list(heads), list(relations))


def random_pairs(seed, sentences=300):
    random = np.random.default_rng(seed)
    gold, predicted = [], []
    for words in random.integers(1, 15, size=sentences):
        sides = []
        for _ in range(2):
            heads = random.integers(0, words + 1, size=words).tolist()
            sides.append(tree(heads, random.choice(RELATIONS, words).tolist()))
        keep = random.random(words) < 0.5
        sides[1].heads = np.where(keep, sides[0].heads, sides[1].heads).tolist()
        gold.append(sides[0])
        predicted.append(sides[1])
    return gold, predicted


def official_rules(gold, predicted, punctuation=True, subtypes=False):
    """Shared task, gold tokens: parents must be the same word, labels equal up to the colon."""
    total = attached = labelled = 0
    for right, guess in zip(gold, predicted, strict=True):
        for place in range(len(right.heads)):
            name, other = right.relations[place], guess.relations[place]
            if not punctuation and name.split(":")[0] == "punct":
                continue
            total += 1
            if right.heads[place] == guess.heads[place]:
                attached += 1
                if not subtypes:
                    name, other = name.split(":")[0], other.split(":")[0]
                labelled += name == other
    return [total, attached, labelled]


@pytest.mark.parametrize("punctuation", [True, False])
@pytest.mark.parametrize("subtypes", [True, False])
def test_counts_follow_the_rules_of_the_shared_task(punctuation, subtypes):
    gold, predicted = random_pairs(0)
    counts = attachment_counts(gold, predicted, punctuation, subtypes)
    rows = zip(gold, predicted, strict=True)
    expected = [official_rules([a], [b], punctuation, subtypes) for a, b in rows]
    assert counts.tolist() == expected
    totals = counts.sum(axis=0)
    assert uas(totals) == totals[1] / totals[0]
    assert las(totals) == totals[2] / totals[0]
    assert 0 < las(totals) < uas(totals) < 1


def test_each_option_changes_what_it_says():
    gold = tree([2, 0, 2], ["nsubj:pass", "root", "punct"])
    guess = tree([2, 0, 1], ["nsubj", "root", "punct"])
    assert attachment_counts([gold], [guess]).tolist() == [[3, 2, 2]]
    assert attachment_counts([gold], [guess], subtypes=True).tolist() == [[3, 2, 1]]
    assert attachment_counts([gold], [guess], punctuation=False).tolist() == [[2, 2, 2]]


def test_unseen_words_stay_in_the_denominator():
    gold = tree([2, 0, 2], ["nsubj", "root", "obj"])
    guess = tree([2, 0, UNSEEN], ["nsubj", "root", "obj"])
    assert attachment_counts([gold], [guess]).tolist() == [[3, 2, 2]]


def test_no_words_score_zero():
    counts = attachment_counts([], [])
    assert counts.shape == (0, 3)
    assert las(counts.sum(axis=0)) == uas(counts.sum(axis=0)) == 0


def test_different_sentences_are_refused():
    one, two = tree([0], ["root"]), tree([2, 0], ["obj", "root"])
    with pytest.raises(XlingError, match="found 1 predicted trees, expected 2"):
        attachment_counts([one, one], [one])
    with pytest.raises(XlingError, match=r"line 1 of gold: predicted 1 heads .* expected 2"):
        attachment_counts([two], [one])


def test_multiword_tokens_and_empty_nodes_are_no_words(tmp_path):
    rows = [
        "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tde\t_\tADP\t_\t_\t3\tcase\t_\t_",
        "2\tle\t_\tDET\t_\t_\t3\tdet\t_\t_",
        "2.1\tvu\t_\tVERB\t_\t_\t_\t_\t3:dep\t_",
        "3\tlac\t_\tNOUN\t_\t_\t0\troot\t_\t_",
    ]
    path = tmp_path / "gold.conllu"
    path.write_text("\n".join(rows) + "\n\n")
    gold = list(read_conllu(path))
    assert attachment_counts(gold, gold).tolist() == [[3, 3, 3]]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_official_scorer_agrees_on_real_trees(real_data, language, tmp_path):
    """Runs where ``pip install udtools`` was done (GPL, so not among our dependencies)."""
    udeval = pytest.importorskip("udtools.udeval", reason="needs pip install udtools")
    folder = DataFolder(real_data)
    gold = list(folder.treebank(language, "test"))
    predicted = [disturbed(tree, number) for number, tree in enumerate(gold)]
    path = folder.task("ud", language, "test")
    write_conllu(tmp_path / "predicted.conllu", path, predicted)
    write_conllu(tmp_path / "gold.conllu", path, gold)
    sides = []
    for name in ("gold", "predicted"):
        with open(tmp_path / f"{name}.conllu", encoding="utf-8") as file:
            sides.append(udeval.load_conllu(file, path=name, treebank_type={}))
    official = udeval.evaluate(*sides)
    totals = attachment_counts(gold, predicted).sum(axis=0)
    assert uas(totals) == pytest.approx(official["UAS"].f1)
    assert las(totals) == pytest.approx(official["LAS"].f1)
    assert 0.1 < las(totals) < 0.95


def disturbed(tree, seed):
    """Hang some leaves on the root word, rename some relations and lose last words."""
    random = np.random.default_rng(seed)
    root = tree.heads.index(0) + 1
    heads, relations = list(tree.heads), list(tree.relations)
    for word in range(1, len(heads) + 1):
        if word != root and random.random() < 0.3:
            heads[word - 1] = root
        if random.random() < 0.2:
            relations[word - 1] = "obl:" + relations[word - 1]
    if len(heads) > 2 and len(heads) not in [*heads, root] and random.random() < 0.5:
        heads[-1] = UNSEEN
    return replace(tree, heads=heads, relations=relations)
