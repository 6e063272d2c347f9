import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from xling.errors import XlingError
from xling.measures import retrieval, scores
from xling.measures.retrieval import bootstrap_interval, precision_at_1


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
    monkeypatch.setattr(scores, "_HELD", 0)
    monkeypatch.setattr(retrieval, "_ROWS", block)
    monkeypatch.setattr(retrieval, "_COLUMNS", block + 1)
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


def test_interval_matches_the_binomial_and_is_reproducible():
    n, p = 1000, 0.3
    hits = (np.arange(n) < p * n).astype(float)
    low, high = bootstrap_interval(hits, seed=1)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert low == pytest.approx(p - half, abs=0.006)
    assert high == pytest.approx(p + half, abs=0.006)
    assert (low, high) == bootstrap_interval(hits, seed=1)
    assert (low, high) != bootstrap_interval(hits, seed=2)


def test_intervals_of_many_vectors_use_the_same_draws(monkeypatch):
    hits = np.random.default_rng(0).random((3, 2, 50))
    low, high = bootstrap_interval(hits, seed=0, resamples=200)
    assert low.shape == high.shape == (3, 2)
    one_low, one_high = bootstrap_interval(hits[2, 1], seed=0, resamples=200)
    assert (low[2, 1], high[2, 1]) == (pytest.approx(one_low), pytest.approx(one_high))
    assert (low < hits.mean(axis=-1)).all()
    assert (hits.mean(axis=-1) < high).all()


def test_interval_equals_plain_resampling():
    hits = np.random.default_rng(3).random(40)
    from xling.randomness import generator

    random = generator(5, "bootstrap", 40)
    means = [hits[row].mean() for row in random.integers(40, size=(100, 40))]
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(hits, 5, resamples=100), expected)
