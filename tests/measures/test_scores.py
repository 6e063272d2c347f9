import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xling.alignment
from xling.errors import XlingError
from xling.measures import search as module
from xling.measures.ranking import rank_translations
from xling.measures.scores import csls, margin_ratio
from xling.measures.translation import mutual_pairs, translate


def cosine(x, y):
    return float(x @ y) / (float(x @ x) ** 0.5 * float(y @ y) ** 0.5)


def by_loops(X, Y, k):
    """The definition, one pair at a time."""

    def r(vector, others):
        nearest_first = sorted((cosine(vector, other) for other in others), reverse=True)[:k]
        return sum(nearest_first) / len(nearest_first)

    r_x, r_y = [r(x, Y) for x in X], [r(y, X) for y in Y]
    return np.array(
        [
            [2 * cosine(x, y) - a - b for y, b in zip(Y, r_y, strict=True)]
            for x, a in zip(X, r_x, strict=True)
        ]
    )


def draw(seed, n, m, d):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)) + 0.3, random.normal(size=(m, d)) + 0.3


shapes = {
    "seed": st.integers(0, 1000),
    "n": st.integers(1, 25),
    "m": st.integers(1, 25),
    "d": st.integers(1, 8),
    "k": st.integers(1, 12),
}


@settings(max_examples=40, deadline=None)
@given(**shapes)
def test_csls_equals_straightforward_loops(seed, n, m, d, k):
    X, Y = draw(seed, n, m, d)
    np.testing.assert_allclose(csls(X, Y, k), by_loops(X, Y, k), atol=1e-12)
    np.testing.assert_allclose(csls(Y, X, k), csls(X, Y, k).T, atol=1e-12)
    single = csls(X.astype(np.float32), Y, k)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, by_loops(X, Y, k), atol=3e-6)


def test_csls_demotes_a_hub_that_cosines_always_prefer():
    X = np.hstack([np.eye(4), np.ones((4, 1)), np.zeros((4, 4))])
    own = np.hstack([np.eye(4), np.zeros((4, 1)), 1.2 * np.eye(4)])
    Y = np.vstack([own, np.eye(9)[4:5]])  # the last is near to all that the rows of X share
    assert translate(X, Y, count=1, similarity="cosine").rows[:, 0].tolist() == [4, 4, 4, 4]
    assert translate(X, Y, count=1, k=4).rows[:, 0].tolist() == [0, 1, 2, 3]


def test_csls_of_tensors_is_exported():
    X, Y = draw(0, 6, 7, 3)
    np.testing.assert_array_equal(
        xling.measures.csls(torch.tensor(X), torch.tensor(Y)), csls(X, Y, k=10)
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 20),
    m=st.integers(1, 300),
    count=st.integers(1, 40),
    rows=st.integers(1, 8),
    columns=st.integers(1, 120),
    distinct=st.integers(1, 300),
)
def test_top_k_equals_sorting_the_product(seed, n, m, count, rows, columns, distinct):
    random = np.random.default_rng(seed)
    A = random.integers(-3, 4, size=(n, 3)).astype(float)  # products are exact: ties are ties
    B = random.integers(-3, 4, size=(min(distinct, m), 3)).astype(float)
    B = B[random.integers(len(B), size=m)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", rows)
        patch.setattr(module, "_COLUMNS", columns)
        scores, found = module.top_k(module.Scores(A, B), count)
    product = A @ B.T
    np.testing.assert_array_equal(scores, -np.sort(-product, axis=1)[:, :count])
    np.testing.assert_array_equal(np.take_along_axis(product, found, axis=1), scores)
    for row_scores, row in zip(scores, found, strict=True):
        assert len(set(row)) == len(row)
        assert sorted(zip(-row_scores, row, strict=True)) == list(
            zip(-row_scores, row, strict=True)
        )


@pytest.mark.parametrize("similarity", ["csls", "cosine"])
def test_translations_are_the_best_of_the_full_matrix(similarity):
    X, Y = draw(1, 30, 400, 6)
    found = translate(X, Y, count=5, similarity=similarity, k=4)
    full = by_loops(X, Y, 4) if similarity == "csls" else cosines(X, Y)
    np.testing.assert_array_equal(found.rows, np.argsort(-full, axis=1)[:, :5])
    np.testing.assert_allclose(found.scores, -np.sort(-full, axis=1)[:, :5], atol=1e-12)


def cosines(X, Y):
    return np.array([[cosine(x, y) for y in Y] for x in X])


def test_single_precision_stays_single_and_finds_the_same():
    X, Y = draw(2, 30, 200, 6)
    single = translate(X.astype(np.float32), Y.astype(np.float32), count=1)
    assert single.scores.dtype == np.float32
    np.testing.assert_array_equal(single.rows, translate(X, Y, count=1).rows)


@pytest.mark.slow
@pytest.mark.parametrize("similarity", ["csls", "margin", "cosine"])
def test_memory_is_a_copy_of_each_side_and_a_tile(similarity, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 128)
    monkeypatch.setattr(module, "_COLUMNS", 1024)
    random = np.random.default_rng(0)
    X, Y = (np.abs(random.normal(size=(3000, 400))).astype(np.float32) for _ in "XY")
    translate(X[:10], Y[:10], similarity=similarity)  # whatever is imported late
    tracemalloc.start()
    try:
        translate(X, Y, count=1, similarity=similarity)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 2 * X.nbytes < peak < 2 * X.nbytes + 4e6  # X is 4.8 MB, a tile half a megabyte


def test_mutual_pairs_are_each_others_best():
    X, Y = draw(3, 40, 30, 5)
    full = by_loops(X, Y, 6)
    expected = [
        (i, j)
        for i in range(40)
        for j in range(30)
        if full[i].argmax() == j and full[:, j].argmax() == i
    ]
    assert [tuple(pair) for pair in mutual_pairs(X, Y, k=6)] == expected
    assert 5 < len(expected) < 30


def test_hubness_is_the_skewness_of_k_occurrence():
    X, Y = draw(4, 120, 100, 20)
    found = translate(X, Y, count=5, similarity="cosine")
    occurrences = [int((found.rows == y).sum()) for y in range(100)]
    mean = sum(occurrences) / 100
    variance = sum((o - mean) ** 2 for o in occurrences) / 100
    skewness = sum((o - mean) ** 3 for o in occurrences) / 100 / variance**1.5
    assert found.hubness == pytest.approx(skewness, abs=1e-12)
    assert translate(X, X, count=1, similarity="cosine").hubness == 0
    assert translate(X, Y, count=5).hubness < found.hubness / 2  # what CSLS is for


def test_bad_input_is_refused():
    X, Y = draw(0, 5, 6, 3)
    for function in (csls, translate, mutual_pairs):
        with pytest.raises(XlingError, match=r"width 3 and Y 2.*align them first"):
            function(X, Y[:, :2])
        with pytest.raises(XlingError, match="Y holds NaN"):
            function(X, Y * np.nan)
        with pytest.raises(XlingError, match=r"X has 1 zero rows of 5 \(first: row 2\)"):
            function(X * (np.arange(5) != 2)[:, None], Y)
        with pytest.raises(XlingError, match="k is 0"):
            function(X, Y, k=0)
    with pytest.raises(XlingError, match="count is 0"):
        translate(X, Y, count=0)
    with pytest.raises(XlingError, match="similarity 'dot'"):
        translate(X, Y, similarity="dot")


def margin_by_loops(X, Y, k):
    """Artetxe and Schwenk 2019, equations 1 and 2, one pair at a time."""

    def total(vector, others):
        nearest_first = sorted((cosine(vector, other) for other in others), reverse=True)[:k]
        return sum(nearest_first) / (2 * len(nearest_first))

    t_x, t_y = [total(x, Y) for x in X], [total(y, X) for y in Y]
    return np.array(
        [
            [cosine(x, y) / (a + b) for y, b in zip(Y, t_y, strict=True)]
            for x, a in zip(X, t_x, strict=True)
        ]
    )


@settings(max_examples=30, deadline=None)
@given(**shapes)
def test_margin_ratio_equals_straightforward_loops(seed, n, m, d, k):
    X, Y = (np.abs(side) + 0.1 for side in draw(seed, n, m, d))
    expected = margin_by_loops(X, Y, k)
    np.testing.assert_allclose(margin_ratio(X, Y, k), expected, rtol=1e-9)
    np.testing.assert_allclose(margin_ratio(Y, X, k), expected.T, rtol=1e-9)
    best = translate(X, Y, 1, "margin", k)
    np.testing.assert_allclose(best.scores[:, 0], expected.max(axis=1), rtol=1e-9)


def test_margin_needs_neighbours_on_the_same_side():
    with pytest.raises(XlingError, match=r"divides by the mean cosine.*use csls"):
        margin_ratio(np.eye(2), -np.eye(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranking_by_margin_is_that_of_the_whole_matrix(dtype):
    random = np.random.default_rng(1)
    X = random.normal(size=(50, 4)) + 1
    Y = X + 0.5 * random.normal(size=X.shape)
    gold = np.column_stack([np.arange(50)] * 2)
    scores = margin_by_loops(X, Y, 4)
    for found, full in zip(
        rank_translations(X.astype(dtype), Y.astype(dtype), gold, "margin", 4),
        (scores, scores.T),
        strict=True,
    ):
        ranks = (full >= np.diag(full)[:, None]).sum(axis=1)
        assert found.precision(5) == pytest.approx((ranks <= 5).mean())
        assert found.mrr == pytest.approx((1 / ranks).mean())
