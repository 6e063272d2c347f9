"""Procrustes distance, RSA and neuron-wise correlation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

from xling.errors import XlingError
from xling.measures import (
    neuron_correlation,
    procrustes_distance,
    rsa,
)

MEASURES = [procrustes_distance, rsa, neuron_correlation]


def draw(seed, n, d, e):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + 2
    return X, common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - 2


shapes = {
    "seed": st.integers(0, 1000),
    "n": st.integers(5, 30),
    "d": st.integers(2, 12),
    "e": st.integers(2, 12),
}


@settings(max_examples=30, deadline=None)
@given(**shapes)
def test_procrustes_distance_is_what_the_best_rotation_leaves(seed, n, d, e):
    X, Y = draw(seed, n, d, e)
    wide = max(d, e)
    shapes = []
    for A in (X, Y):
        A = np.pad(A - A.mean(0), ((0, 0), (0, wide - A.shape[1])))
        shapes.append(A / np.linalg.norm(A))
    rotation, _ = orthogonal_procrustes(*shapes)
    left = np.square(shapes[0] @ rotation - shapes[1]).sum()
    assert procrustes_distance(X, Y) == pytest.approx(left, abs=1e-9)
    assert procrustes_distance(X, Y) == pytest.approx(procrustes_distance(Y, X), abs=1e-9)


def test_procrustes_distance_ignores_rotation_scale_and_shift_only():
    X, Y = draw(0, 40, 5, 5)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    same = 1e200 * (X @ rotation + 3)
    assert procrustes_distance(X, same) == pytest.approx(0, abs=1e-12)
    assert procrustes_distance(X, X * [50, 1, 1, 1, 1]) > 0.1
    assert procrustes_distance(np.full((40, 2), 0.1), Y) == 2


@settings(max_examples=30, deadline=None)
@given(**shapes)
def test_rsa_equals_scipy(seed, n, d, e):
    X, Y = draw(seed, n, d + 1, e + 1)
    expected = spearmanr(pdist(X, "correlation"), pdist(Y, "correlation")).statistic
    assert rsa(X, Y) == pytest.approx(expected, abs=1e-9)


def test_rsa_of_three_items_is_spearman_s_of_three_numbers():
    X = np.array([[0.0, 1, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]])
    Y = np.array([[0.0, 1, 2, 3], [3, 1, 0, 2], [1, 0, 2, 3]])
    a, b = (pdist(A, "correlation") for A in (X, Y))
    assert len({*a.round(9)}) == len({*b.round(9)}) == 3
    assert rsa(X, Y) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    with pytest.raises(XlingError, match="at least three items: found 2"):
        rsa(X[:2], Y[:2])


def test_rsa_gives_ties_their_mean_rank():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(2, 12, 5))
    X[6:] = X[:6]
    a, b = (pdist(A, "correlation").round(12) for A in (X, Y))
    assert len(set(a)) < 50
    assert rsa(X, Y) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert rsa(np.eye(12), Y) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(3, 30), d=st.integers(1, 8))
def test_neuron_correlation_is_the_mean_of_pearsons(seed, n, d):
    X, Y = draw(seed, n, d, d)
    expected = np.mean([pearsonr(X[:, j], Y[:, j]).statistic for j in range(d)])
    assert neuron_correlation(X, Y) == pytest.approx(expected, abs=1e-9)


def test_neuron_correlation_forgives_no_rotation_and_keeps_signs():
    X = np.random.default_rng(0).normal(size=(500, 6))
    assert neuron_correlation(X, X * 1e200 + 3) == pytest.approx(1, abs=1e-9)
    assert neuron_correlation(X, np.roll(X, 1, axis=1)) == pytest.approx(0, abs=0.1)
    assert neuron_correlation(X, -X) == pytest.approx(-1, abs=1e-12)
    half = X.copy()
    half[:, :3] = 0.1
    assert neuron_correlation(X, half) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_tensors_single_precision_and_bad_input(measure):
    X, Y = draw(0, 20, 5, 5)
    assert measure(torch.tensor(X), torch.tensor(Y)) == measure(X, Y)
    assert measure(X.astype(np.float32), Y.astype(np.float32)) == pytest.approx(
        measure(X, Y), abs=1e-4
    )
    with pytest.raises(XlingError, match="X has 20 rows and Y has 19"):
        measure(X, Y[1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        measure(X, Y * np.nan)


def test_what_has_no_answer_is_refused():
    X, Y = draw(0, 20, 5, 5)
    flat = X.copy()
    flat[4] = 1
    with pytest.raises(XlingError, match="row 4 of X has the same value in every column"):
        rsa(flat, Y)
    with pytest.raises(XlingError, match="at least three items: found 2"):
        rsa(X[:2], Y[:2])
    with pytest.raises(XlingError, match="X has 5 neurons and Y 4"):
        neuron_correlation(X, Y[:, 1:])
    with pytest.raises(XlingError, match="at least two items"):
        neuron_correlation(X[:1], Y[:1])
