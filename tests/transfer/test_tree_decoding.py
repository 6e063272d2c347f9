import re
from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xling.data.conllu import tree_fault
from xling.errors import XlingError
from xling.transfer.tree_decoding import decode


def total(matrix, heads):
    return matrix[np.arange(len(heads)), heads].sum()


def all_trees(words):
    """Every tree with one root over so many words: heads [trees, words]."""
    every = product(range(words + 1), repeat=words)
    return np.array([heads for heads in every if heads.count(0) == 1 and not tree_fault(heads)])


TREES = {words: all_trees(words) for words in range(1, 7)}


def best_by_brute_force(matrix):
    trees = TREES[len(matrix)]
    return matrix[np.arange(len(matrix)), trees].sum(axis=1).max()


def best_by_networkx(matrix):
    """The best of one unconstrained tree for each choice of the root word."""
    words, best = len(matrix), -np.inf
    for root in range(words):
        graph = nx.DiGraph()
        graph.add_edge(0, root + 1, weight=matrix[root, 0])
        for word in range(words):
            for head in range(1, words + 1):
                if head != word + 1 and word != root:
                    graph.add_edge(head, word + 1, weight=matrix[word, head])
        tree = nx.maximum_spanning_arborescence(graph)
        best = max(best, tree.size(weight="weight"))
    return best


def is_tree(heads):
    return (heads == 0).sum() == 1 and tree_fault(heads.tolist()) is None


def test_every_tree_is_counted():
    """Cayley's formula for rooted trees: n^(n - 1)."""
    assert [len(TREES[words]) for words in TREES] == [1, 2, 9, 64, 625, 7776]


@pytest.mark.parametrize("kind", ["normal", "integer", "strong root arcs", "sparse"])
def test_best_of_all_trees_up_to_six_words(kind):
    random = np.random.default_rng(0)
    matrices = []
    for number in range(600):
        words = 1 + number % 6
        matrix = random.normal(size=(words, words + 1))
        if kind == "integer":
            matrix = random.integers(-3, 4, size=matrix.shape).astype(float)
        if kind == "strong root arcs":
            matrix[:, 0] += 5
        if kind == "sparse":
            matrix = np.where(random.random(matrix.shape) < 0.6, -1e6, matrix)
        matrices.append(matrix)
    for matrix, heads in zip(matrices, decode(matrices), strict=True):
        assert is_tree(heads)
        assert total(matrix, heads) == pytest.approx(best_by_brute_force(matrix), abs=1e-9)


def test_best_of_networkx_for_longer_sentences():
    random = np.random.default_rng(1)
    matrices = [
        random.normal(size=(words, words + 1)).astype(np.float32) * 3
        for words in [7, 8, 9, 10, 12, 15, 20]
        for _ in range(2)
    ]
    for matrix, heads in zip(matrices, decode(matrices), strict=True):
        assert is_tree(heads)
        assert total(matrix, heads) == pytest.approx(best_by_networkx(matrix), rel=1e-5)


@given(
    st.integers(1, 12).flatmap(
        lambda words: arrays(
            np.float64,
            (words, words + 1),
            elements=st.sampled_from([0.0, 1.0, -1.0, 0.1, 1e-9, 1e9, -1e200, 1e200]),
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_any_scores_give_one_root_and_no_cycle(matrix):
    assert is_tree(decode([matrix])[0])


def spiral(words):
    """Scores whose greedy cycle takes in one word a round, and from which no bound frees."""
    matrix = np.zeros((words, words + 1))
    for word in range(words):
        matrix[word, word] = 100.0 + word  # the word before
        matrix[word, word + 2 :] = -1.0
    matrix[0, 2] = 50.0
    matrix[:, 0] = -1000.0 + 3.0 * np.arange(words)
    return matrix


@pytest.mark.parametrize("words", [2, 6, 30, 90])
def test_deeply_nested_cycles_and_equal_scores(words):
    constant = np.zeros((words, words + 1))
    for matrix in (constant, spiral(words), -spiral(words)):
        heads = decode([matrix])[0]
        assert is_tree(heads)
        if words <= 6:
            assert total(matrix, heads) == pytest.approx(best_by_brute_force(matrix))
    if words == 30:
        matrix = spiral(12)
        assert total(matrix, decode([matrix])[0]) == pytest.approx(best_by_networkx(matrix))


def test_a_sentence_gets_the_same_tree_in_any_company():
    random = np.random.default_rng(2)
    matrices = [
        random.integers(0, 3, size=(words, words + 1)).astype(np.float32)
        for words in random.integers(0, 25, size=300)
    ]
    together = decode(matrices)
    for matrix, heads in zip(matrices[:100], together, strict=False):
        assert decode([matrix])[0].tolist() == heads.tolist()
    backwards = decode(matrices[::-1])[::-1]
    assert [heads.tolist() for heads in backwards] == [heads.tolist() for heads in together]


def test_own_heads_are_not_read_and_input_is_not_changed():
    matrix = np.array([[0.0, 99.0, 1.0], [-1.0, 2.0, 99.0]])
    before = matrix.copy()
    assert decode([matrix])[0].tolist() == [0, 1]
    np.testing.assert_array_equal(matrix, before)


def test_a_gold_tree_with_high_scores_comes_back_in_every_dtype():
    heads = [2, 0, 5, 5, 2, 2]
    for dtype in (np.float16, np.float32, np.float64, np.int32):
        matrix = np.zeros((6, 7), dtype)
        matrix[np.arange(6), heads] = 9
        assert decode([matrix])[0].tolist() == heads


def test_no_sentences_and_empty_sentences():
    assert decode([]) == []
    found = decode([np.zeros((0, 1)), np.zeros((1, 2)), np.zeros((0, 1))])
    assert [heads.tolist() for heads in found] == [[], [0], []]


def test_unusable_scores_are_refused():
    good = np.zeros((2, 3))
    for bad in (np.nan, np.inf, -np.inf, 1e201):
        matrix = good.copy()
        matrix[1, 1] = bad
        message = re.escape(f"sentence 2 has the score {bad}, expected finite")
        with pytest.raises(XlingError, match=message):
            decode([good, matrix])
    with pytest.raises(XlingError, match=r"sentence 1 has scores of shape \[3, 3\]"):
        decode([np.zeros((3, 3))])
