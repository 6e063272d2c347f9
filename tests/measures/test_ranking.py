from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures import Ranking, csls, rank_translations, ranking
from xling.measures import scores as pairwise


def expected_by_all_orders(scores, gold, k):
    """Mean of hit and reciprocal rank over every order of the candidates, sorted stably."""
    hits, reciprocal = [], []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda y: -scores[y])
        first = min(ranked.index(y) for y in gold)
        hits.append(first < k)
        reciprocal.append(1 / (first + 1))
    return np.mean(hits), np.mean(reciprocal)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    scores=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    k=st.integers(1, 6),
)
def test_ties_count_as_the_mean_over_all_orders(data, scores, k):
    gold = data.draw(st.sets(st.sampled_from(range(len(scores))), min_size=1))
    best = max(scores[y] for y in gold)
    found = Ranking(
        np.array([0]),
        np.array([sum(s > best for s in scores)]),
        np.array([sum(s == best for s in scores)]),
        np.array([sum(scores[y] == best for y in gold)]),
    )
    hits, reciprocal = expected_by_all_orders(scores, gold, k)
    assert found.precision(k) == pytest.approx(hits, abs=1e-12)
    assert found.mrr == pytest.approx(reciprocal, abs=1e-12)


def plain_ranks(scores, pairs):
    """Rank of the best gold translation of each query, by sorting whole rows (no ties)."""
    gold = {}
    for x, y in pairs:
        gold.setdefault(x, set()).add(y)
    ranks = []
    for x in sorted(gold):
        order = list(np.argsort(-scores[x]))
        ranks.append(min(order.index(y) for y in gold[x]) + 1)
    return np.array(ranks)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("blocks", [(7, 11), (256, 8192)])
def test_both_directions_and_several_translations(dtype, blocks, monkeypatch):
    monkeypatch.setattr(pairwise, "_HELD", 0)
    monkeypatch.setattr(ranking, "_ROWS", blocks[0])
    monkeypatch.setattr(ranking, "_COLUMNS", blocks[1])
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 5))
    Y = np.vstack([X[:40] + 0.4 * random.normal(size=(40, 5)), random.normal(size=(50, 5))])
    pairs = [(i, i) for i in range(40)] + [(i, i + 45) for i in range(0, 40, 3)] + [(3, 3)]
    forward, backward = rank_translations(X.astype(dtype), Y.astype(dtype), pairs, k=5)
    scores = csls(X, Y, k=5)
    for found, full, gold in (
        (forward, scores, pairs),
        (backward, scores.T, [(y, x) for x, y in pairs]),
    ):
        ranks = plain_ranks(full, gold)
        np.testing.assert_array_equal(found.queries, sorted({x for x, _ in gold}))
        for k in (1, 5, 10):
            assert found.precision(k) == pytest.approx((ranks <= k).mean(), abs=1e-12)
        assert found.mrr == pytest.approx((1 / ranks).mean(), abs=1e-12)
    assert 0.3 < forward.precision(1) < forward.precision(5) < 1


@pytest.mark.parametrize("similarity", ["csls", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_that_are_all_the_same_score_what_guessing_does(similarity, dtype):
    X = np.tile(np.random.default_rng(0).normal(size=37), (90, 1)).astype(dtype)
    pairs = np.column_stack([np.arange(20), np.arange(20)])
    for found in rank_translations(X, 3 * X, pairs, similarity):
        assert found.precision(1) == pytest.approx(1 / 90, abs=1e-12)
        assert found.precision(10) == pytest.approx(10 / 90, abs=1e-12)
        assert found.mrr == pytest.approx(np.mean(1 / np.arange(1, 91)), abs=1e-12)


def test_duplicates_of_the_right_answer_share_the_hit():
    Y = np.eye(3)[[0, 1, 2, 2]]
    found, _ = rank_translations(np.eye(3), Y, [[0, 0], [2, 3]], "cosine")
    np.testing.assert_allclose(found.hits(1), [1, 0.5])
    np.testing.assert_allclose(found.hits(2), [1, 1])
    both, _ = rank_translations(np.eye(3), Y, [[2, 2], [2, 3]], "cosine")
    np.testing.assert_allclose(both.hits(1), [1])


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (np.empty((0, 2), dtype=int), r"shape \(0, 2\).*any words in common"),
        ([0, 1], r"shape \(2,\): expected \[pairs, 2\]"),
        ([[0.0, 1.0]], "float64: expected row numbers"),
        ([[0, 0], [1, 4]], r"gold pair 1 is \[1, 4\]: X has 3 rows and Y has 4"),
        ([[-1, 0]], r"gold pair 0 is \[-1, 0\]"),
    ],
)
def test_bad_gold_is_refused(gold, message):
    with pytest.raises(XlingError, match=message):
        rank_translations(np.eye(3), np.eye(3)[[0, 1, 2, 2]], gold)


def test_words_without_direction_are_missed_by_one_rule():
    X, Y = np.eye(3), np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])
    for similarity in ("cosine", "csls"):
        forward, backward = rank_translations(X, Y, [[0, 0], [1, 1], [2, 2]], similarity, k=1)
        np.testing.assert_array_equal(forward.hits(1), [1, 0, 1])
        np.testing.assert_array_equal(backward.hits(1), [1, 0, 1])
        assert forward.reciprocal_ranks[1] == 0.25
    # Another translation of the same word still counts.
    forward, _ = rank_translations(X, Y, [[0, 0], [0, 1]], "cosine")
    np.testing.assert_array_equal(forward.hits(1), [1])
