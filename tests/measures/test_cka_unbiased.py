import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures import debiased_cka, linear_cka, minibatch_cka


def hsic_by_sums(X, Y):
    """Unbiased HSIC as the U-statistic it is: sums over distinct indices (Song et al. 2012)."""
    n = len(X)
    K, L = X @ X.T, Y @ Y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    pairs = triples = quadruples = 0.0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                if len({i, j, q}) == 3:
                    triples += K[i, j] * L[i, q]
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        quadruples += K[i, j] * L[q, r]
            pairs += K[i, j] * L[i, j]
    two, three = n * (n - 1), n * (n - 1) * (n - 2)
    return pairs / two - 2 * triples / three + quadruples / (three * (n - 3))


def draw(seed, n, d, e):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + 3
    return X, common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - 3


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(4, 7), d=st.integers(2, 12), e=st.integers(2, 12))
def test_equals_the_u_statistic(seed, n, d, e):
    X, Y = draw(seed, n, d, e)
    scale = np.sqrt(hsic_by_sums(X, X) * hsic_by_sums(Y, Y))
    expected = np.clip(hsic_by_sums(X, Y) / scale, -1, 1)
    assert debiased_cka(X, Y) == pytest.approx(expected, abs=1e-6)
    assert debiased_cka(X, Y) == pytest.approx(debiased_cka(Y, X), abs=1e-9)


def test_independent_noise_is_near_zero_with_fewer_items_than_dimensions():
    random = np.random.default_rng(0)
    values = [debiased_cka(*random.normal(size=(2, 30, 200))) for _ in range(40)]
    assert np.abs(values).max() < 0.2
    assert abs(np.mean(values)) < 0.02
    assert linear_cka(*random.normal(size=(2, 30, 200))) > 0.5


def test_ignores_rotation_scale_and_shift_but_not_a_general_linear_map():
    X, Y = draw(0, 50, 6, 9)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert debiased_cka(7 * X @ rotation - 4, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert debiased_cka(X, X) == pytest.approx(1, abs=1e-12)
    assert debiased_cka(X, X * [100, 1, 1, 1, 1, 1]) < 0.9


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1e250])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    X, Y = draw(0, 20, 5, 5)
    assert debiased_cka(X * scale, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)


def test_approaches_plain_cka_with_many_items():
    X, Y = draw(0, 2000, 6, 9)
    assert debiased_cka(X, Y) == pytest.approx(linear_cka(X, Y), abs=0.01)


def test_batches_average_their_parts_before_dividing():
    X, Y = draw(0, 24, 5, 4)
    parts = [(X[i : i + 6], Y[i : i + 6]) for i in range(0, 24, 6)]
    cross, self_x, self_y = (
        np.mean([hsic_by_sums(*which(a, b)) for a, b in parts])
        for which in (lambda a, b: (a, b), lambda a, b: (a, a), lambda a, b: (b, b))
    )
    assert minibatch_cka(iter(parts)) == pytest.approx(cross / np.sqrt(self_x * self_y), abs=1e-9)
    assert minibatch_cka([(X, Y)]) == debiased_cka(X, Y)


def test_batches_of_any_size_estimate_the_same():
    X, Y = draw(0, 3000, 6, 5)
    whole = debiased_cka(X, Y)
    for size in (10, 100):
        batches = ((X[i : i + size], Y[i : i + size]) for i in range(0, 3000, size))
        assert minibatch_cka(batches) == pytest.approx(whole, abs=0.03)


def test_degenerate_input():
    X, Y = draw(0, 10, 5, 5)
    assert debiased_cka(np.full((10, 5), 0.1), Y) == 0
    assert debiased_cka(np.eye(10), np.eye(10)) == 0  # equidistant items: all variance is bias
    beside = np.hstack([X, np.full((10, 2), 0.1)])
    assert debiased_cka(beside, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert debiased_cka(torch.tensor(X), torch.tensor(Y)) == debiased_cka(X, Y)


def test_bad_input_is_refused():
    X, Y = draw(0, 10, 5, 5)
    with pytest.raises(XlingError, match="X has 10 rows and Y has 9"):
        debiased_cka(X, Y[1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        debiased_cka(X, Y * np.nan)
    with pytest.raises(XlingError, match="from four items on: found 3"):
        minibatch_cka([(X, Y), (X[:3], Y[:3])])
    with pytest.raises(XlingError, match="at least one batch"):
        minibatch_cka([])
