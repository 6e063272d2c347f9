import gzip
from dataclasses import replace

import numpy as np
import pytest

from xling.data.conllu import Tree, read_conllu, tree_fault
from xling.data.iob2 import read_iob2
from xling.data.layout import DataFolder
from xling.data.tables import read_nli, read_topics
from xling.errors import XlingError
from xling.transfer.attachment import UNSEEN, attachment_counts
from xling.transfer.predictions import completed, write_conllu, write_iob2, write_labels

# Not in NFC (e and a combining accent), with every kind of line that CoNLL-U has.
GOLD = """\
# sent_id = 1
# text = de\u0301s lacs
1-2\tde\u0301s\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
1\tde\tde\tADP\tP\tA=B\t3\tcase\t3:case\t_
2\tles\tle\tDET\tD\t_\t3\tdet\t_\t_
2.1\tvu\t_\tVERB\t_\t_\t_\t_\t3:dep\t_
3\tlacs\tlac\tNOUN\tN\t_\t0\troot\t_\tX=Y

# sent_id = 2
1\tOui\t_\tINTJ\t_\t_\t0\troot\t_\t_
"""


@pytest.mark.parametrize("name", ["gold.conllu", "gold.conllu.gz"])
def test_only_heads_and_relations_change(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOLD.encode()) if name.endswith("gz") else GOLD.encode())
    gold = list(read_conllu(path))
    first = replace(gold[0], heads=[2, 0, 2], relations=["nsubj", "root", "obj"])
    write_conllu(tmp_path / "out" / "predicted.conllu", path, [first, gold[1]])
    written = (tmp_path / "out" / "predicted.conllu").read_text(encoding="utf-8")
    expected = (
        GOLD.replace("3\tcase\t3:", "2\tnsubj\t3:")
        .replace("3\tdet", "0\troot")
        .replace("0\troot\t_\tX=Y", "2\tobj\t_\tX=Y")
    )
    assert written == expected
    assert read_back(tmp_path / "out" / "predicted.conllu") == ([2, 0, 2], ["nsubj", "root", "obj"])


def read_back(path):
    tree = next(read_conllu(path))
    return tree.heads, tree.relations


def test_windows_line_ends_become_plain_ones(tmp_path):
    path = tmp_path / "gold.conllu"
    path.write_bytes(("\ufeff" + GOLD).replace("\n", "\r\n").encode())
    write_conllu(tmp_path / "out.conllu", path, list(read_conllu(path)))
    assert (tmp_path / "out.conllu").read_bytes() == GOLD.encode()


def test_other_sentences_are_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "gold.conllu"
    path.write_text(GOLD, encoding="utf-8")
    gold = list(read_conllu(path))
    with pytest.raises(XlingError, match="found 1 predicted trees, expected 2"):
        write_conllu(tmp_path / "out.conllu", path, gold[:1])
    with pytest.raises(XlingError, match="predicted 1 heads and 1 relations, expected 3"):
        write_conllu(tmp_path / "out.conllu", path, gold[::-1])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["gold.conllu"]


def lose(tree, random):
    """Make some words unseen whose loss leaves a tree of the others."""
    heads = list(tree.heads)
    for word in random.permutation(len(heads)) + 1:
        if random.random() < 0.5 and word not in [h for h in heads if h != UNSEEN]:
            heads[word - 1] = UNSEEN
    return replace(tree, heads=heads)


def test_unseen_words_are_wrong_in_the_file_too(real_data):
    random = np.random.default_rng(0)
    trees = DataFolder(real_data).treebank("en", "dev")
    pairs = [(tree, lose(tree, random)) for tree in trees]
    pairs = [pair for pair in pairs if sum(head != UNSEEN for head in pair[1].heads) > 1]
    gold, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    whole = [completed(guess, tree.heads) for guess, tree in zip(predicted, gold, strict=True)]
    assert sum(tree.heads.count(UNSEEN) for tree in predicted) > 5000
    assert not any(tree_fault(tree.heads) for tree in whole)
    expected = attachment_counts(gold, predicted).tolist()
    assert attachment_counts(gold, whole).tolist() == expected
    assert attachment_counts(gold, whole, subtypes=True).tolist() == expected


@pytest.mark.parametrize("words", [1, 2, 3, 7])
def test_a_sentence_that_was_not_seen_at_all_is_still_a_tree(words):
    gold = Tree(1, None, ["w"] * words, ["X"] * words, list(range(words)), ["dep:x"] * words)
    predicted = replace(gold, heads=[UNSEEN] * words)
    whole = completed(predicted, gold.heads)
    assert tree_fault(whole.heads) is None
    counts = attachment_counts([gold], [whole])[0].tolist()
    assert counts[2] == 0
    if words > 2:
        assert counts[1] == 0


def test_only_the_root_seen_leaves_one_right_head_at_most():
    gold = Tree(1, None, ["w"] * 4, ["X"] * 4, [2, 0, 2, 3], ["dep"] * 4)
    predicted = replace(gold, heads=[UNSEEN, 0, UNSEEN, UNSEEN])
    whole = completed(predicted, gold.heads)
    assert whole.heads == [4, 0, 4, 2]
    flat = replace(gold, heads=[2, 0, 2, 2])
    assert completed(predicted, flat.heads).heads == [2, 0, 1, 1]


def test_tags_read_back(tmp_path):
    sentences = [(["Ana", "a"], ["B-PER", "O"]), (["Rome"], ["B-LOC"])]
    write_iob2(tmp_path / "out.iob2", sentences)
    assert (tmp_path / "out.iob2").read_text() == "Ana\tB-PER\na\tO\n\nRome\tB-LOC\n\n"
    found = [(one.tokens, one.tags) for one in read_iob2(tmp_path / "out.iob2")]
    assert found == sentences


def test_labels_read_back(tmp_path):
    nli = [("A b.", "C.", "neutral"), ("D", "é", "entailment")]
    write_labels(tmp_path / "nli.tsv", nli)
    assert list(read_nli(tmp_path / "nli.tsv")) == nli
    topics = [("7", "travel", "By train.")]
    write_labels(tmp_path / "topics.tsv", topics)
    assert list(read_topics(tmp_path / "topics.tsv")) == topics
    for bad in ("a\tb", "a\nb"):
        with pytest.raises(XlingError, match="row 2 has a tab or line end"):
            write_labels(tmp_path / "bad.tsv", [("1", "x", "y"), ("2", "x", bad)])
    assert not (tmp_path / "bad.tsv").exists()
