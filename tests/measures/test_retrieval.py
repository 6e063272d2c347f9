import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from xling.errors import XlingError
from xling.measures import (
    csls,
    csls_hits,
    margin_hits,
    margin_ratio,
    mexa,
    pooled_hits,
    precision_at_1,
    ranking,
)
from xling.measures import scores as pairwise


def noisy(seed, languages=3, lines=20, width=6, noise=0.7):
    random = np.random.default_rng(seed)
    meaning = random.normal(size=(lines, width))
    return [meaning + noise * random.normal(size=(lines, width)) for _ in range(languages)]


def noisy_pair(seed, n, d, noise):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + 1
    return X, X + noise * random.normal(size=(n, d))


def brute_force(X, Y):
    """Forward hits by loops over exact integer arithmetic: cosines are compared as fractions."""
    hits = []
    for i, x in enumerate(X):
        scores = []
        for y in Y:
            dot, norm = int(x @ y), int(y @ y)
            scores.append(dot * abs(dot) / norm if norm else -np.inf)
        best = max(scores)
        hit = scores[i] == best and (x != 0).any() and (Y[i] != 0).any()
        hits.append(1 / scores.count(best) if hit else 0.0)
    return hits


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), d=st.integers(1, 3))
def test_equals_loops_with_ties_duplicates_and_zero_vectors(seed, n, d):
    X, Y = np.random.default_rng(seed).integers(-2, 3, size=(2, n, d))
    found = precision_at_1(X, Y)
    np.testing.assert_allclose(found.forward_hits, brute_force(X, Y), atol=1e-15)
    np.testing.assert_allclose(found.backward_hits, brute_force(Y, X), atol=1e-15)


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("block", [7, 1024])
def test_equals_nearest_neighbours_of_scikit_learn(centre, block, monkeypatch):
    monkeypatch.setattr(pairwise, "_HELD", 0)
    monkeypatch.setattr(ranking, "_ROWS", block)
    monkeypatch.setattr(ranking, "_COLUMNS", block + 1)
    X, Y = noisy_pair(0, 150, 8, noise=1.0)
    found = precision_at_1(X.astype(np.float32), Y.astype(np.float32), centre)
    x, y = (X - X.mean(0), Y - Y.mean(0)) if centre else (X, Y)
    for queries, candidates, hits in ((x, y, found.forward_hits), (y, x, found.backward_hits)):
        search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(candidates)
        expected = search.kneighbors(queries, return_distance=False)[:, 0] == np.arange(150)
        np.testing.assert_array_equal(hits, expected)
    assert 0.1 < found.mean < 0.9
    assert found.mean == pytest.approx((found.forward_hits.mean() + found.backward_hits.mean()) / 2)


@pytest.mark.parametrize("n", [1, 2, 7, 1500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_that_are_all_the_same_score_exactly_chance(n, dtype):
    X = np.tile(np.random.default_rng(0).normal(size=37), (n, 1)).astype(dtype)
    found = precision_at_1(X, 3 * X)
    np.testing.assert_array_equal(found.forward_hits, 1 / n)
    np.testing.assert_array_equal(found.backward_hits, 1 / n)
    assert found.chance == 1 / n


def test_centring_takes_away_what_a_language_has_in_common():
    X, Y = noisy_pair(0, 100, 6, noise=0.3)
    # A direction that the rows do not use, so shifts of X and of Y only mislead.
    far = np.hstack([X, np.full((100, 1), 50.0)])
    opposite = np.hstack([Y, np.full((100, 1), -50.0)])
    assert precision_at_1(far, opposite).mean < 0.3
    assert precision_at_1(far, opposite, centre=True).mean > 0.8
    shifted = precision_at_1(X + 7, Y - 3, centre=True)
    np.testing.assert_array_equal(
        shifted.forward_hits, precision_at_1(X, Y, centre=True).forward_hits
    )


def test_empty_sentences_neither_match_each_other_nor_move_the_mean():
    X, Y = noisy_pair(0, 40, 6, noise=0.5)
    hole = np.zeros((1, 6))
    whole = precision_at_1(X, Y, centre=True)
    found = precision_at_1(np.vstack([X, hole]), np.vstack([Y, hole]), centre=True)
    np.testing.assert_array_equal(found.forward_hits, [*whole.forward_hits, 0])
    np.testing.assert_array_equal(found.backward_hits, [*whole.backward_hits, 0])
    assert precision_at_1(np.zeros((3, 2)), np.zeros((3, 2)), centre=True).mean == 0


def test_a_zero_vector_is_nobodys_neighbour():
    X, Y = np.array([[1.0, 0], [0, 0]]), np.array([[-1.0, 0.1], [0, 0]])
    # The cosine of the translation is negative, yet it is the only vector with a direction.
    np.testing.assert_array_equal(precision_at_1(X, Y).forward_hits, [1, 0])
    np.testing.assert_array_equal(precision_at_1(X, Y).backward_hits, [1, 0])


def test_no_order_of_duplicates_helps():
    X = np.eye(3)[[0, 0, 1, 2]]
    np.testing.assert_array_equal(precision_at_1(X, X).forward_hits, [0.5, 0.5, 1, 1])


def test_bad_input_is_refused():
    X, Y = noisy_pair(0, 10, 4, noise=1)
    with pytest.raises(XlingError, match="X has 10 rows and Y has 9"):
        precision_at_1(X, Y[1:])
    with pytest.raises(XlingError, match=r"width 4 and Y 3.*align them first"):
        precision_at_1(X, Y[:, 1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        precision_at_1(X, Y * np.nan)
    with pytest.raises(XlingError, match="k is 0"):
        csls_hits(X, Y, k=0)


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_constant_vectors_score_chance_by_every_measure(centre, device):
    X = np.tile(np.random.default_rng(0).normal(size=37), (30, 1)).astype(np.float32)
    np.testing.assert_allclose(pooled_hits([X, 2 * X, X], None, centre, device), 2 / 89)
    for hits in (precision_at_1, csls_hits):
        found = hits(X, 3 * X, centre=centre, device=device)
        np.testing.assert_allclose([found.forward_hits, found.backward_hits], 1 / 30)
    np.testing.assert_allclose(margin_hits(X, 3 * X, device=device).forward_hits, 1 / 30)
    np.testing.assert_array_equal(mexa(X, X, device), 0)


def test_the_same_language_twice_is_found_and_permuted_lines_are_not():
    X = noisy(2, 1, 200, 16)[0]
    assert pooled_hits([X, X]).mean() == 1
    assert mexa(X, X).mean() == csls_hits(X, X).mean == margin_hits(X, X).mean == 1
    shuffled = X[np.random.default_rng(0).permutation(200)]
    assert pooled_hits([X, shuffled]).mean() < 0.03
    assert csls_hits(X, shuffled).mean < 0.03
    assert mexa(X, shuffled).mean() < 0.03


def mexa_by_definition(X, Y):
    """c_ii > max over j != i of c_ij and c_ji, from squares of exact integers."""
    n = len(X)

    def higher(i, j, k, m):
        a, b = int(X[i] @ Y[j]), int(X[k] @ Y[m])
        first = a * abs(a) * int(X[k] @ X[k]) * int(Y[m] @ Y[m])
        return first > b * abs(b) * int(X[i] @ X[i]) * int(Y[j] @ Y[j])

    return [
        all(higher(i, i, i, j) and higher(i, i, j, i) for j in range(n) if j != i) for i in range(n)
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), d=st.integers(1, 3))
def test_mexa_equals_its_published_definition(seed, n, d):
    X, Y = np.random.default_rng(seed).integers(-3, 4, size=(2, n, d))
    X[~X.any(axis=1)], Y[~Y.any(axis=1)] = 1, 1
    np.testing.assert_array_equal(mexa(X, Y), mexa_by_definition(X, Y))


def test_a_sentence_without_tokens_is_not_aligned():
    np.testing.assert_array_equal(mexa(np.eye(2) * [[1], [0]], np.eye(2)), [1, 0])


@pytest.mark.parametrize("held", [0, 1 << 22])
@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    ("hits", "full", "k"), [(csls_hits, csls, 10), (margin_hits, margin_ratio, 4)]
)
def test_hits_are_the_largest_scores_of_the_full_matrix(hits, full, k, device, held, monkeypatch):
    X, Y = noisy(3, 2, 60, 8)
    matrix = full(X, Y, k)
    monkeypatch.setattr(ranking, "_ROWS", 7)
    monkeypatch.setattr(pairwise, "_HELD", held)
    found = hits(X, Y, device=device)
    np.testing.assert_array_equal(found.forward_hits, matrix.argmax(1) == np.arange(60))
    np.testing.assert_array_equal(found.backward_hits, matrix.argmax(0) == np.arange(60))
    assert 0.2 < found.mean < 0.9


@pytest.mark.parametrize("hits", [csls_hits, margin_hits])
def test_zero_vectors_take_no_part(hits):
    X, Y = noisy(4, 2, 30, 8, noise=0.3)
    hole = np.zeros((1, 8))
    whole, found = hits(X, Y), hits(np.vstack([X, hole]), np.vstack([Y, hole]))
    np.testing.assert_array_equal(found.forward_hits, [*whole.forward_hits, 0])
    np.testing.assert_array_equal(found.backward_hits, [*whole.backward_hits, 0])
