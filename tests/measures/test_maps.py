import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from xling.errors import XlingError
from xling.measures import (
    LeastSquares,
    Normalizer,
    Procrustes,
    RefinedProcrustes,
    Ridge,
    SelfLearning,
)


def rotation(seed, d):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def planted(seed, n, d, noise):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d))
    return X, X @ rotation(seed, d) + noise * random.normal(size=(n, d))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), d=st.integers(1, 12), extra=st.integers(0, 30))
def test_procrustes_equals_scipy_and_the_papers_formula(seed, d, extra):
    X, Y = planted(seed, d + extra, d, noise=0.5)
    fitted = Procrustes().fit(X, Y)
    expected, _ = scipy.linalg.orthogonal_procrustes(X, Y)
    np.testing.assert_allclose(fitted.matrix_, expected, atol=1e-8)
    # Conneau et al. 2020, section 5.1: U Vᵀ with U Σ Vᵀ = SVD(Y Xᵀ), vectors as columns.
    U, _, Vt = np.linalg.svd(Y.T @ X)
    np.testing.assert_allclose(fitted.matrix_.T, U @ Vt, atol=1e-8)
    np.testing.assert_allclose(fitted.transform(X), X @ expected, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 30),
    d=st.integers(1, 10),
    e=st.integers(1, 10),
    rank=st.integers(0, 10),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_matrix_is_orthogonal_for_every_shape_and_rank(seed, n, d, e, rank, dtype):
    random = np.random.default_rng(seed)
    X = (random.normal(size=(n, rank)) @ random.normal(size=(rank, d))).astype(dtype)
    Y = random.normal(size=(n, e)).astype(dtype)
    fitted = Procrustes(underdetermined=True).fit(X, Y)
    W = fitted.matrix_
    gram = W @ W.T if d <= e else W.T @ W
    np.testing.assert_allclose(gram, np.eye(min(d, e)), atol=1e-6)
    assert fitted.transform(X).dtype == dtype
    if dtype == np.float64:
        assert fitted.rank_ <= min(n, d, e, rank)


@pytest.mark.parametrize(("d", "e"), [(5, 8), (8, 5)])
def test_different_widths_are_padded_with_zeros(d, e):
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(40, d)), random.normal(size=(40, e))
    wide = max(d, e)
    padded = [np.pad(A, ((0, 0), (0, wide - A.shape[1]))) for A in (X, Y)]
    expected, _ = scipy.linalg.orthogonal_procrustes(*padded)
    found = Procrustes().fit(X, Y).transform(X)
    np.testing.assert_allclose(found, (padded[0] @ expected)[:, :e], atol=1e-10)


def test_an_embedding_into_a_wider_space_is_recovered_and_keeps_lengths():
    X = np.random.default_rng(0).normal(size=(40, 5))
    Y = np.pad(X, ((0, 0), (0, 3))) @ rotation(1, 8)
    fitted = Procrustes().fit(X, Y)
    np.testing.assert_allclose(fitted.transform(X), Y, atol=1e-12)


def test_planted_rotation_is_recovered_and_with_noise_beats_least_squares():
    X, Y = planted(0, 60, 20, noise=0)
    np.testing.assert_allclose(Procrustes().fit(X, Y).matrix_, rotation(0, 20), atol=1e-10)
    X, Y = planted(0, 300, 20, noise=1.0)
    train, test = slice(0, 40), slice(40, 300)
    maps = [kind().fit(X[train], Y[train]) for kind in (Procrustes, LeastSquares)]
    errors = [np.linalg.norm(m.matrix_ - rotation(0, 20)) for m in maps]
    assert errors[0] < 0.8 * errors[1]
    scores = [m.score(X[test], Y[test]) for m in maps]
    assert scores[0] > scores[1] + 0.02


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e200])
def test_extreme_scales_do_not_change_the_rotation(scale):
    X, Y = planted(0, 30, 4, noise=0.3)
    np.testing.assert_allclose(
        Procrustes().fit(X * scale, Y).matrix_, Procrustes().fit(X, Y).matrix_, atol=1e-10
    )


def test_least_squares_equals_the_normal_equations():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(30, 4)), random.normal(size=(30, 6))
    expected = np.linalg.solve(X.T @ X, X.T @ Y)
    np.testing.assert_allclose(LeastSquares().fit(X, Y).matrix_, expected, atol=1e-10)


def test_least_squares_takes_the_solution_of_least_norm_for_dependent_columns():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(30, 4)), random.normal(size=(30, 3))
    X[:, 3] = X[:, 2]
    found = LeastSquares().fit(X, Y).matrix_
    np.testing.assert_allclose(found, scipy.linalg.pinv(X) @ Y, atol=1e-10)
    np.testing.assert_allclose(found[3], found[2], atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 20),
    d=st.integers(1, 12),
    penalty=st.floats(0.01, 100),
)
def test_ridge_equals_scikit_learn_also_with_fewer_pairs_than_dimensions(seed, n, d, penalty):
    random = np.random.default_rng(seed)
    X, Y = random.normal(size=(n, d)), random.normal(size=(n, 3))
    oracle = linear_model.Ridge(alpha=penalty, fit_intercept=False).fit(X, Y)
    found = Ridge(penalty).fit(X, Y).matrix_
    np.testing.assert_allclose(found, np.reshape(oracle.coef_.T, (d, 3)), atol=1e-8)


def test_score_is_the_mean_cosine():
    X, Y = planted(0, 20, 3, noise=0.5)
    fitted = Procrustes().fit(X, Y)
    cosines = [
        x @ fitted.matrix_ @ y / (np.linalg.norm(x) * np.linalg.norm(y))
        for x, y in zip(X, Y, strict=True)
    ]
    assert fitted.score(X, Y) == pytest.approx(np.mean(cosines), abs=1e-12)


def noisy_vocabulary():
    return planted(5, 150, 12, noise=0.35)


def test_refinement_finds_true_pairs_and_a_better_map():
    X, Y = noisy_vocabulary()
    shuffled = np.random.default_rng(1).permutation(150)
    plain = Procrustes().fit(X[:14], Y[:14])
    refined = RefinedProcrustes(rounds=10).fit(X[:14], Y[:14], X, Y[shuffled])
    right = shuffled[refined.pairs_[:, 1]] == refined.pairs_[:, 0]
    assert right.mean() > 0.9
    assert 100 < len(right) <= 150
    assert refined.score(X[14:], Y[14:]) > plain.score(X[14:], Y[14:]) + 0.02
    assert 1 < refined.rounds_ < 10  # it stopped because the pairs no longer changed
    np.testing.assert_allclose(refined.matrix_ @ refined.matrix_.T, np.eye(12), atol=1e-6)


def test_refinement_without_rounds_is_procrustes_and_takes_small_seeds():
    X, Y = noisy_vocabulary()
    np.testing.assert_array_equal(
        RefinedProcrustes(rounds=0).fit(X[:20], Y[:20]).matrix_,
        Procrustes().fit(X[:20], Y[:20]).matrix_,
    )
    X, Y = planted(5, 150, 12, noise=0.1)
    refined = RefinedProcrustes(rounds=20).fit(X[:8], Y[:8], X, Y)
    assert refined.score(X, Y) > 0.9


def test_takes_tensors():
    X, Y = planted(0, 20, 3, noise=0.5)
    given_tensors = Procrustes().fit(torch.tensor(X), torch.tensor(Y)).transform(torch.tensor(X))
    np.testing.assert_array_equal(given_tensors, Procrustes().fit(X, Y).transform(X))


@pytest.mark.parametrize("kind", [Procrustes, LeastSquares, Ridge, RefinedProcrustes])
def test_bad_input_is_refused(kind):
    X, Y = planted(0, 20, 3, noise=0.5)
    with pytest.raises(XlingError, match="X has 20 rows and Y has 19"):
        kind().fit(X, Y[1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        kind().fit(X, Y * np.nan)
    with pytest.raises(XlingError, match="has not been fitted"):
        kind().transform(X)
    fitted = kind().fit(X, Y)
    with pytest.raises(XlingError, match="width 2: the map was fitted on width 3"):
        fitted.transform(X[:, :2])
    with pytest.raises(XlingError, match="Y has width 2: the map gives width 3"):
        fitted.score(X, Y[:, :2])
    with pytest.raises(XlingError, match="mapped X has 20 zero rows"):
        fitted.score(X * 0, Y)


def test_fewer_pairs_than_dimensions_are_refused_where_they_leave_the_map_open():
    X, Y = planted(0, 4, 5, noise=0)
    with pytest.raises(XlingError, match="4 pairs do not determine a rotation of 5 dimensions"):
        Procrustes().fit(X, Y)
    with pytest.raises(XlingError, match="4 pairs do not determine a linear map of 5 dimensions"):
        LeastSquares().fit(X, Y)
    fitted = Procrustes(underdetermined=True).fit(X, Y)
    assert fitted.rank_ == 4
    np.testing.assert_allclose(fitted.transform(X), Y, atol=1e-10)


def test_bad_settings_are_refused():
    with pytest.raises(XlingError, match="penalty 0"):
        Ridge(0)
    with pytest.raises(XlingError, match="rounds -1"):
        RefinedProcrustes(rounds=-1)
    with pytest.raises(XlingError, match="X and source have widths 3 and 2"):
        RefinedProcrustes().fit(np.eye(3), np.eye(3), np.ones((4, 2)), np.eye(3))


ESTIMATORS = [
    Procrustes(underdetermined=True),
    LeastSquares(),
    Ridge(0.5),
    RefinedProcrustes(rounds=2, k=1),
    SelfLearning(cutoff=20, rounds=3, k=2, seed=4),
    Normalizer("unit", 1e-3, 7),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_scikit_learn_clones_them(estimator):
    copy = clone(estimator)
    assert type(copy) is type(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params() == vars(estimator)


def test_settings_are_changed_by_name_and_checked():
    fitted = Ridge(2.0).fit(np.eye(3), np.eye(3))
    assert fitted.set_params(penalty=0.5) is fitted
    assert fitted.get_params() == {"penalty": 0.5}
    assert fitted.matrix_.shape == (3, 3)
    with pytest.raises(XlingError, match="Ridge: no setting 'alpha'; its settings: penalty"):
        fitted.set_params(alpha=1)
    with pytest.raises(XlingError, match="LeastSquares: no setting 'k'; its settings: none"):
        LeastSquares().set_params(k=1)
    with pytest.raises(XlingError, match="must be positive"):
        fitted.set_params(penalty=-1)


def test_scikit_learn_searches_and_chains_them():
    X, Y = planted(0, 60, 5, noise=0.1)
    search = GridSearchCV(Ridge(), {"penalty": [1e4, 1e-3]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"penalty": 1e-3}
    halves = [(range(30), range(30, 60))]
    expected = Procrustes().fit(X[:30], Y[:30]).score(X[30:], Y[30:])
    assert cross_val_score(Procrustes(), X, Y, cv=halves) == pytest.approx([expected])
    chain = make_pipeline(Normalizer("centre"), Procrustes()).fit(X, Y)
    by_hand = Procrustes().fit(Normalizer("centre").fit_transform(X), Y)
    np.testing.assert_allclose(chain.transform(X), by_hand.transform(X - X.mean(axis=0)))
