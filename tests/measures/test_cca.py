import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from xling.errors import XlingError
from xling.measures import pwcca, svcca


def cca_by_covariances(X, Y):
    """Hotelling's eigenproblem Sxx⁻¹ Sxy Syy⁻¹ Syx: variates of X, best first; correlations."""
    X, Y = X - X.mean(0), Y - Y.mean(0)
    Sxx, Syy, Sxy = X.T @ X, Y.T @ Y, X.T @ Y
    squares, directions = scipy.linalg.eigh(Sxy @ np.linalg.solve(Syy, Sxy.T), Sxx)
    count = min(X.shape[1], Y.shape[1])
    order = np.argsort(-squares)[:count]
    return X @ directions[:, order], np.sqrt(np.clip(squares[order], 0, 1))


def draw(seed, n, d, e):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + 2
    return X, common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - 2


shapes = {
    "seed": st.integers(0, 1000),
    "n": st.integers(12, 60),
    "d": st.integers(1, 8),
    "e": st.integers(1, 8),
}


@settings(max_examples=30, deadline=None)
@given(**shapes, variance=st.sampled_from([0.5, 0.9, 0.99]))
def test_svcca_equals_principal_components_and_hotellings_eigenproblem(seed, n, d, e, variance):
    X, Y = draw(seed, n, d, e)

    def kept(A):
        pca = PCA().fit(A)
        count = int((np.cumsum(pca.explained_variance_ratio_) < variance).sum()) + 1
        return pca.transform(A)[:, :count]

    expected = cca_by_covariances(kept(X), kept(Y))[1].mean()
    assert svcca(X, Y, variance) == pytest.approx(expected, abs=1e-6)
    assert svcca(X, Y, variance) == pytest.approx(svcca(Y, X, variance), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(**shapes)
def test_pwcca_equals_a_second_implementation(seed, n, d, e):
    X, Y = draw(seed, n + 8, d, e)
    variates, correlations = cca_by_covariances(X, Y)
    weights = []
    for h in variates.T:
        weights.append(sum(abs(h @ x) / np.linalg.norm(h) for x in (X - X.mean(0)).T))
    expected = np.dot(weights, correlations) / np.sum(weights)
    assert pwcca(X, Y) == pytest.approx(expected, abs=1e-6)


def test_invariances():
    X, Y = draw(0, 80, 5, 6)
    general = np.random.default_rng(1).normal(size=(6, 6))
    for measure in (pwcca, lambda X, Y: svcca(X, Y, 1.0)):
        assert measure(X, Y @ general + 5) == pytest.approx(measure(X, Y), abs=1e-9)
        assert measure(X, X[:, ::-1] * 1e200) == pytest.approx(1, abs=1e-9)
    # Cutting by variance sees how far a direction is stretched.
    assert svcca(X, Y @ np.diag([100, 1, 1, 1, 1, 1])) != pytest.approx(svcca(X, Y), abs=0.01)


def test_weights_of_pwcca_are_those_of_its_first_argument():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 4)) * [10, 10, 1, 1]
    found = np.hstack([X[:, :2], random.normal(size=(300, 2))])
    missed = np.hstack([random.normal(size=(300, 2)), X[:, 2:]])
    assert pwcca(X, found) > 0.8 > 0.4 > pwcca(X, missed)
    assert pwcca(X, found) != pytest.approx(pwcca(found * [0.1, 0.1, 9, 9], X), abs=0.1)


def test_degenerate_input():
    X, Y = draw(0, 40, 5, 4)
    constant = np.full((40, 3), 0.1)
    for measure in (svcca, pwcca):
        assert measure(constant, Y) == measure(Y, constant) == 0
        assert measure(np.hstack([X, constant]), Y) == pytest.approx(measure(X, Y), abs=1e-9)
        assert measure(np.vstack([X, X]), np.vstack([Y, Y])) == pytest.approx(measure(X, Y))
        assert measure(torch.tensor(X), torch.tensor(Y)) == measure(X, Y)
    repeated = np.hstack([X, X[:, :2]])  # rank 5 in 7 columns
    assert svcca(repeated, Y, 1.0) == pytest.approx(svcca(X, Y, 1.0), abs=1e-9)


def test_bad_input_is_refused():
    X, Y = draw(0, 10, 12, 4)
    with pytest.raises(XlingError, match="10 items span at most 9 directions and a side has 9"):
        pwcca(X, Y)
    with pytest.raises(XlingError, match="use more items than dimensions"):
        svcca(Y, X, variance=1.0)
    assert 0 < svcca(X, Y, variance=0.5) <= 1
    with pytest.raises(XlingError, match="10 items for 10 directions on both sides"):
        pwcca(X[:, :6], Y)
    assert 0 < pwcca(X[:, :5], Y) <= 1
    for measure in (svcca, pwcca):
        with pytest.raises(XlingError, match="X has 10 rows and Y has 9"):
            measure(X, Y[1:])
        with pytest.raises(XlingError, match="Y holds NaN"):
            measure(X, Y * np.nan)
    for variance in (0, 1.1):
        with pytest.raises(XlingError, match="expected a share"):
            svcca(X, Y, variance)
