import re
import unicodedata
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.conllu import Tree, read_conllu, tree_fault
from xling.errors import XlingError

FORMS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1, max_size=6
).map(lambda text: unicodedata.normalize("NFC", text))


@st.composite
def trees(draw):
    """A tree whose heads come from a random order in which each word hangs below an earlier one."""
    order = draw(st.permutations(range(1, draw(st.integers(1, 8)) + 1)))
    heads = [0] * len(order)
    for place, word in enumerate(order[1:], 1):
        heads[word - 1] = order[draw(st.integers(0, place - 1))]
    count = len(order)
    forms = draw(st.lists(FORMS, min_size=count, max_size=count))
    upos = draw(st.lists(st.sampled_from(["NOUN", "VERB", "_"]), min_size=count, max_size=count))
    relations = draw(
        st.lists(st.sampled_from(["nsubj:pass", "obj"]), min_size=count, max_size=count)
    )
    return Tree(0, " ".join(["text", *map(str, order)]), forms, upos, heads, relations)


def as_conllu(tree, draw):
    lines = ["# sent_id = x", f"# text = {tree.text}"]
    covered = 0
    for word, form in enumerate(tree.forms, 1):
        if word == 1 and draw(st.booleans()):
            lines.append("0.1\tgone" + "\t_" * 8)
        if word > covered and word < len(tree.forms) and draw(st.booleans()):
            covered = draw(st.integers(word + 1, len(tree.forms)))
            lines.append(f"{word}-{covered}\tdu" + "\t_" * 8)
        head, relation = tree.heads[word - 1], tree.relations[word - 1]
        upos = tree.upos[word - 1]
        lines.append(f"{word}\t{form}\t_\t{upos}\t_\t_\t{head}\t{relation}\t_\t_")
        lines.extend(f"{word}.{i}\tgone" + "\t_" * 8 for i in range(1, draw(st.integers(1, 3))))
    return "\n".join(lines) + "\n\n"


@settings(max_examples=60, deadline=None)
@given(sentences=st.lists(trees(), max_size=4), data=st.data())
def test_round_trip(tmp_path_factory, sentences, data):
    path = tmp_path_factory.mktemp("ud") / "train.conllu"
    path.write_bytes("".join(as_conllu(tree, data.draw) for tree in sentences).encode())
    found = list(read_conllu(path))
    for tree in found:
        tree.line = 0
    assert found == sentences


@settings(max_examples=300)
@given(data=st.data(), words=st.integers(1, 7))
def test_trees_are_networkx_arborescences_with_one_root(data, words):
    heads = data.draw(st.lists(st.integers(0, words), min_size=words, max_size=words))
    graph = nx.DiGraph()
    graph.add_nodes_from(range(words + 1))
    graph.add_edges_from((head, word) for word, head in enumerate(heads, 1))
    fault = tree_fault(heads)
    assert (fault is None) == (nx.is_arborescence(graph) and heads.count(0) == 1)
    if fault and "cycle" in fault[1]:
        cycle = [int(word) for word in re.search(r"words ([\d >-]+)", fault[1])[1].split(" -> ")]
        assert cycle[0] == cycle[-1] == fault[0]
        assert all(heads[word - 1] == head for word, head in pairwise(cycle))
        assert frozenset(cycle) in {frozenset(found) for found in nx.simple_cycles(graph)}
    elif fault:
        assert heads.count(0) > 1


def word(number, form="x", head="0", relation="root", upos="NOUN"):
    return f"{number}\t{form}\t_\t{upos}\t_\t_\t{head}\t{relation}\t_\t_"


ONE = word(1)
GOOD = f"{ONE}\n\n"


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ([word(1), word(2)], 4, r"found 2 roots \(words 1 and 2 have head 0\), expected a tree"),
        ([word(1), word(2, head=3), word(3, head=2)], 4, r"cycle of heads \(words 2 -> 3 -> 2\)"),
        ([word(1, head=2), word(2, head=1)], 3, "no root .* expected a tree with one root"),
        ([word(1), word(2, head=2)], 4, r"cycle of heads \(words 2 -> 2\)"),
        ([word(1), word(2, head=3)], 4, "found head 3, expected 0 to 2"),
        ([word(1, head=-1)], 3, "found head '-1', expected the number of a word, or 0"),
        ([word(1, head="_")], 3, "found head '_'"),
        ([word(1, head="")], 3, "found head ''"),
        (["1\tx\t_\tNOUN\t0\troot"], 3, "found 6 columns .* expected the 10 columns of CoNLL-U"),
        (["1 x _ NOUN _ _ 0 root _ _"], 3, "found 1 column"),
        ([word(1), word(3, head=1)], 4, "found word number '3', expected 2"),
        ([word(2)], 3, "found word number '2', expected 1"),
        ([word(1, form="")], 3, "found an empty word"),
        ([word(1, upos="NN")], 3, "found 'NN', expected a universal part of speech"),
        ([word(1, relation="_")], 3, "found '_', expected a dependency relation"),
        ([word("2-3"), word(1)], 3, "found multiword token 2-3, expected a range from word 1 up"),
        ([word("1-1"), word(1)], 3, "found multiword token 1-1"),
        ([word("1-2"), word(1)], 4, "found a multiword token up to word 2, expected at most 1"),
        ([word("1-2"), word(1), word("2-3"), word(2, head=1), word(3, head=1)], 5, "range from"),
        ([word(1), word("2.1")], 4, r"found empty node 2\.1, expected 1\.1"),
        ([word(1), "# late", word(2, head=1)], 4, "found comment '# late' after words"),
        (["# alone"], 3, "found a sentence without words"),
    ],
)
def test_fault_names_line_found_and_expected(write, rows, line, message):
    path = write("train.conllu", GOOD + "\n".join(rows) + "\n\n" + GOOD)
    with pytest.raises(XlingError, match=message) as error:
        list(read_conllu(path))
    assert str(error.value).startswith(f"{path}, line {line}: ")
    problems = []
    assert len(list(read_conllu(path, problems.append))) == 2
    assert len(problems) == 1


def test_last_sentence_needs_no_blank_line(write):
    path = write("train.conllu", f"{GOOD}# text = y\n{word(1, form='y')}")
    assert [(tree.line, tree.text, tree.forms) for tree in read_conllu(path)] == [
        (1, None, ["x"]),
        (3, "y", ["y"]),
    ]
