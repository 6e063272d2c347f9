import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from xling.errors import XlingError
from xling.measures import hubness, k_occurrence, mutual_knn, neighbours, reciprocity, scores
from xling.measures.search import top_k_of_both


def cosines(X, Y):
    """Cosines by loops; -inf for rows without direction."""
    result = np.full((len(X), len(Y)), -np.inf)
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            if x.any() and y.any():
                result[i, j] = x @ y / np.sqrt((x @ x) * (y @ y))
    return result.round(12)


def occurrences_by_loops(matrix, k):
    expected = np.zeros(matrix.shape[1])
    for row in matrix:
        order = sorted(set(row[np.isfinite(row)]), reverse=True)
        places = k
        for level in order:
            group = np.flatnonzero(row == level)
            expected[group] += min(1, max(places, 0) / len(group))
            places -= len(group)
    return expected


def reciprocity_by_loops(matrix):
    n, m = matrix.shape
    expected = np.zeros(n)
    for i in range(n):
        nearest = [j for j in range(m) if matrix[i, j] == matrix[i].max() > -np.inf]
        for j in nearest:
            back = [r for r in range(n) if matrix[r, j] == matrix[:, j].max()]
            expected[i] += (i in back) / len(back) / len(nearest)
    return expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), m=st.integers(1, 6), k=st.integers(1, 4))
def test_neighbours_equal_loops_with_ties_and_zero_rows(seed, n, m, k):
    random = np.random.default_rng(seed)
    X, Y = random.integers(-2, 3, size=(n, 2)), random.integers(-2, 3, size=(m, 2))
    matrix = cosines(X, Y)
    np.testing.assert_allclose(k_occurrence(X, Y, k), occurrences_by_loops(matrix, k), atol=1e-12)
    np.testing.assert_allclose(reciprocity(X, Y), reciprocity_by_loops(matrix), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), m=st.integers(1, 12), k=st.integers(1, 4))
def test_one_search_serves_hubs_and_reciprocity(seed, n, m, k):
    random = np.random.default_rng(seed)
    width = random.integers(2, 4)
    X, Y = random.normal(size=(n, width)), random.normal(size=(m, width))
    for side in (X, Y):  # few ties, few rows without direction
        side[random.integers(len(side), size=random.integers(3))] = side[0]
        side[random.integers(len(side), size=random.integers(2))] = 0
    empty = tuple(~side.any(axis=1) for side in (X, Y))
    between = scores.scores_between(X, Y, "cosine", 1, empty)
    largest, matrix = top_k_of_both(between, k + 1), cosines(X, Y)
    for of, found, seen in zip(
        (between, between.transposed), largest, (matrix, matrix.T), strict=True
    ):
        counts = neighbours.occurrences(of, k, found)
        np.testing.assert_allclose(counts, occurrences_by_loops(seen, k), atol=1e-12)
    found = neighbours.reciprocal(between, largest)
    np.testing.assert_allclose(found, reciprocity_by_loops(matrix), atol=1e-12)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("rows", [7, 256])
def test_equal_the_neighbours_of_scikit_learn(device, rows, monkeypatch):
    monkeypatch.setattr(scores, "_HELD", 0 if rows == 7 else 1 << 22)
    monkeypatch.setattr(neighbours, "_ROWS", rows)
    X, Y = np.random.default_rng(0).normal(size=(2, 80, 5)).astype(np.float32)

    def nearest(queries, candidates, k):
        search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(candidates.astype(float))
        return search.kneighbors(queries.astype(float), return_distance=False)

    counts = k_occurrence(X, Y, 10, device)
    np.testing.assert_allclose(counts, np.bincount(nearest(X, Y, 10).ravel(), minlength=80))
    assert hubness(counts) == pytest.approx(skew(counts))
    forward, backward = nearest(X, Y, 1)[:, 0], nearest(Y, X, 1)[:, 0]
    found = reciprocity(X, Y, device)
    np.testing.assert_array_equal(found, backward[forward] == np.arange(80))
    assert 0.2 < found.mean() < 0.9


def test_planted_hubs_are_named():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 50)) + 1
    Y = X + 0.1 * random.normal(size=X.shape)
    plain = k_occurrence(X, Y)
    Y[[7, 123]] = 1.0  # the common direction
    counts = k_occurrence(X, Y)
    assert set(np.argsort(-counts)[:2]) == {7, 123}
    assert counts.max() / 10 > 10 > plain.max() / 10
    assert hubness(counts) > 5 > hubness(plain)
    assert counts.sum() == pytest.approx(10 * 300)
    assert reciprocity(X, X).mean() == 1


def test_vectors_that_are_all_the_same_have_no_hubs_and_find_each_other_by_chance():
    X = np.tile(np.random.default_rng(0).normal(size=37), (30, 1))
    counts = k_occurrence(X, 3 * X)
    np.testing.assert_allclose(counts, 10)
    assert hubness(counts) == 0
    np.testing.assert_allclose(reciprocity(X, 3 * X), 1 / 30)


def test_fewer_candidates_than_neighbours_and_bad_input():
    np.testing.assert_array_equal(k_occurrence(np.eye(3), np.eye(3), k=10), 3)
    with pytest.raises(XlingError, match="k is 0"):
        k_occurrence(np.eye(3), np.eye(3), k=0)
    with pytest.raises(XlingError, match="align them first"):
        reciprocity(np.eye(3), np.ones((3, 2)))


def related(n, d, e):
    random = np.random.default_rng(0)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + 2
    return X, common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - 2


@pytest.mark.parametrize("block", [7, 256])
def test_mutual_neighbours_equal_scikit_learn(block, monkeypatch):
    monkeypatch.setattr(neighbours, "_ROWS", block)
    X, Y = related(60, 6, 9)
    sides = []
    for A in (X, Y):
        found = NearestNeighbors(n_neighbors=5, metric="cosine").fit(A)
        sides.append(found.kneighbors(return_distance=False))  # a point is not its own neighbour
    expected = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*sides, strict=True)])
    assert mutual_knn(X, Y, k=5) == pytest.approx(expected, abs=1e-12)
    assert 0.1 < expected < 0.9


def test_mutual_neighbours_share_ties():
    same = np.ones((9, 3))
    assert mutual_knn(same, same, k=2) == pytest.approx(2 / 8)  # exactly what guessing scores
    X = related(9, 4, 4)[0]
    assert mutual_knn(X, same, k=2) == pytest.approx(2 / 8)
    # Item 0 is as near to 1 as to 2; 1 and 2 have one neighbour each that is sure.
    X = np.array([[1.0, 0], [1, 1], [1, -1]])
    assert mutual_knn(X, X, k=1) == pytest.approx((0.5 + 1 + 1) / 3)


def test_mutual_neighbours_of_tensors_and_bad_input():
    X, Y = related(20, 5, 5)
    assert mutual_knn(torch.tensor(X), torch.tensor(Y), 3) == mutual_knn(X, Y, 3)
    single = mutual_knn(X.astype(np.float32), Y.astype(np.float32), 3)
    assert single == pytest.approx(mutual_knn(X, Y, 3), abs=1e-4)
    with pytest.raises(XlingError, match="X has 20 rows and Y has 19"):
        mutual_knn(X, Y[1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        mutual_knn(X, Y * np.nan)
    with pytest.raises(XlingError, match="k is 20: expected 1 to 19"):
        mutual_knn(X, Y, k=20)
    X[4] = 0
    with pytest.raises(XlingError, match=r"X has 1 zero rows of 20 \(first: row 4\)"):
        mutual_knn(X, Y)
