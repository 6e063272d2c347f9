import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from xling.errors import XlingError
from xling.measures import anisotropy, cosine_contributions, outlier_dimensions


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 30), d=st.integers(1, 8))
def test_anisotropy_is_the_mean_cosine_of_all_pairs(seed, n, d):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 1
    cosine = cosine_similarity(X)
    assert anisotropy(X) == pytest.approx(cosine[np.triu_indices(n, 1)].mean(), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8), d=st.integers(1, 5))
def test_contributions_equal_loops_over_pairs(seed, n, d):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 1
    u = X / np.linalg.norm(X, axis=1, keepdims=True)
    pairs = [u[i] * u[j] for i in range(n) for j in range(n) if i != j]
    np.testing.assert_allclose(cosine_contributions(X), np.mean(pairs, axis=0), atol=1e-12)
    assert cosine_contributions(X).sum() == pytest.approx(anisotropy(X))


def test_extremes_of_anisotropy():
    X = np.random.default_rng(0).normal(size=(2000, 100))
    assert abs(anisotropy(X)) < 0.001
    assert anisotropy(np.tile(X[:1], (50, 1)).astype(np.float32)) == pytest.approx(1, abs=1e-6)
    assert anisotropy(np.vstack([X, np.zeros((3, 100))])) == anisotropy(X)
    assert anisotropy(X + 10) > 0.98


@pytest.mark.parametrize("planted", [{3: 30.0}, {3: 30.0, 100: 20.0}, {}])
def test_planted_outlier_dimensions_are_named_and_no_others(planted):
    X = np.random.default_rng(0).normal(size=(500, 128)).astype(np.float32)
    for dimension, factor in planted.items():
        X[:, dimension] *= factor
    outliers, shares = outlier_dimensions(X)
    assert list(outliers) == list(planted)
    u = X.astype(float) / np.linalg.norm(X.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(shares, (u**2).mean(axis=0), rtol=1e-6)
    assert shares.sum() == pytest.approx(1)


def test_an_outlier_dimension_explains_the_mean_cosine():
    X = np.random.default_rng(0).normal(size=(200, 64))
    X[:, 9] += 40
    contributions = cosine_contributions(X)
    assert contributions.argmax() == 9 == outlier_dimensions(X)[0][0]
    assert contributions[9] / anisotropy(X) > 0.99


def test_bad_input_is_refused():
    with pytest.raises(XlingError, match="at least two rows that are not zero: found 1"):
        anisotropy(np.eye(2) * [[1], [0]])
    with pytest.raises(XlingError, match="all 3 rows of X are zero"):
        outlier_dimensions(np.zeros((3, 4)))
