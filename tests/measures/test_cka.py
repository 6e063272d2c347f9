import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xling.measures
from xling.errors import XlingError
from xling.measures import cka
from xling.measures.cka import (
    cka_interval,
    cka_matrix,
    debiased_cka,
    jackknifed_cka,
    linear_cka,
    minibatch_cka,
)


def gram_cka(X, Y):
    """The definition by centred Gram matrices (Kornblith et al. 2019, equations 1 to 3)."""
    n = len(X)
    H = np.eye(n) - 1 / n
    K, L = X @ X.T, Y @ Y.T

    def hsic(A, B):
        return np.trace(A @ H @ B @ H)

    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def draw(seed, n, d, e, offset=3.0):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + offset
    Y = common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - offset
    return X, Y


shapes = {
    "seed": st.integers(0, 1000),
    "n": st.integers(4, 30),
    "d": st.integers(1, 40),
    "e": st.integers(1, 40),
}


@settings(max_examples=60, deadline=None)
@given(**shapes)
def test_equals_the_gram_matrix_formula_for_every_shape(seed, n, d, e):
    X, Y = draw(seed, n, d, e)
    assert linear_cka(X, Y) == pytest.approx(gram_cka(X, Y), abs=1e-10)
    assert linear_cka(X, Y) == pytest.approx(linear_cka(Y, X), abs=1e-12)
    single = linear_cka(X.astype(np.float32), Y.astype(np.float32))
    assert single == pytest.approx(gram_cka(X, Y), abs=2e-5)


@settings(max_examples=40, deadline=None)
@given(**shapes, scale=st.floats(1e-6, 1e6), shift=st.floats(-100, 100))
def test_ignores_rotation_scale_and_shift(seed, n, d, e, scale, shift):
    X, Y = draw(seed, n, d, e)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    assert linear_cka(scale * X @ rotation + shift, Y) == pytest.approx(linear_cka(X, Y), abs=1e-7)


def test_does_not_ignore_a_general_linear_map():
    X, _ = draw(0, 200, 10, 10)
    assert linear_cka(X, X * 5.0) == pytest.approx(1)
    stretched = X * np.array([100.0] + [1.0] * 9)
    assert linear_cka(X, stretched) < 0.7


@settings(max_examples=30, deadline=None)
@given(**shapes)
def test_is_one_with_itself(seed, n, d, e):
    X, _ = draw(seed, n, d, e)
    assert linear_cka(X, X) == pytest.approx(1, abs=1e-12)


def test_permuting_the_rows_of_one_side_destroys_it():
    X, _ = draw(0, 500, 10, 10)
    assert linear_cka(X, np.random.default_rng(1).permutation(X)) < 0.1


def test_degenerate_input():
    X, Y = draw(0, 20, 5, 5)
    constant = np.full((20, 5), 0.1)
    assert linear_cka(constant, Y) == 0
    assert linear_cka(constant, constant) == 0
    assert linear_cka(np.zeros((20, 5)), Y) == 0
    assert linear_cka(np.hstack([X, constant]), Y) == pytest.approx(linear_cka(X, Y), abs=1e-12)
    twice = np.vstack([X, X]), np.vstack([Y, Y])
    assert linear_cka(*twice) == pytest.approx(linear_cka(X, Y), abs=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-38, 1e30, 1e150, 1e300])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    X, Y = draw(0, 20, 5, 5)
    assert linear_cka(X * scale, Y) == pytest.approx(linear_cka(X, Y), abs=1e-9)
    single = (X * min(max(scale, 1e-36), 1e36)).astype(np.float32)
    assert linear_cka(single, Y) == pytest.approx(linear_cka(X, Y), abs=1e-4)


def test_a_huge_constant_column_does_not_drown_the_others():
    X, Y = draw(0, 20, 5, 5)
    X = X.astype(np.float32)
    beside = np.hstack([X * np.float32(1e-5), np.full((20, 1), 1e30, dtype=np.float32)])
    assert linear_cka(beside, Y) == pytest.approx(linear_cka(X, Y), abs=1e-5)


def test_single_precision_keeps_small_values_and_survives_offsets():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(2, 400, 10))
    exact = gram_cka(X, Y)
    assert exact < 0.05
    assert linear_cka(X.astype("f"), Y.astype("f")) == pytest.approx(exact, rel=1e-4)
    shifted = X.astype("f") + np.float32(100)
    assert linear_cka(shifted, Y) == pytest.approx(gram_cka(shifted.astype("d"), Y), rel=1e-4)


@pytest.mark.parametrize("entries", [40, 1 << 14])
@pytest.mark.parametrize("n", [15, 60])
def test_matrix_holds_every_pair_of_layers(n, entries, monkeypatch):
    monkeypatch.setattr(cka, "_ENTRIES", entries)
    random = np.random.default_rng(0)
    base = random.normal(size=(n, 6))
    Xs = [base @ random.normal(size=(6, width)) for width in (20, 30)]
    Ys = [base @ random.normal(size=(6, width)) ** 3 for width in (20, 25, 30)]
    expected = [[gram_cka(X, Y) for Y in Ys] for X in Xs]
    np.testing.assert_allclose(cka_matrix(Xs, Ys), expected, atol=1e-10)


def adversarial(name):
    X, Y = draw(5, 40, 12, 9)
    if name == "duplicates":
        X[20:] = X[:20]
    elif name == "zero rows":
        X[::3] = Y[::4] = 0
    elif name == "one bit apart":
        X = np.nextafter(X, np.inf)
        X[:, 1] = np.nextafter(X[:, 0], np.inf)
    elif name == "lengths":
        X *= 10.0 ** np.linspace(-3, 3, 40)[:, None]
    else:
        X[:, 1:] = 0.1  # all columns but one are constant
    return X, Y


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    "case", [*range(20), "duplicates", "zero rows", "one bit apart", "lengths", "constant"]
)
def test_both_forms_equal_the_definition_on_any_device(case, device):
    X, Y = adversarial(case) if isinstance(case, str) else draw(case, 40, 12, 9)
    for rows in (slice(None), slice(8)):  # more items than dimensions, and fewer
        x, y = X[rows], Y[rows]
        expected = [[gram_cka(x, x), gram_cka(x, y)]]
        np.testing.assert_allclose(cka_matrix([x], [x, y], device), expected, atol=1e-12)
        single = cka_matrix([x.astype("f")], [x.astype("f"), y.astype("f")], device)
        np.testing.assert_allclose(single, expected, atol=2e-5)


def test_takes_torch_tensors():
    X, Y = draw(0, 30, 5, 7)
    assert linear_cka(torch.tensor(X), torch.tensor(Y)) == linear_cka(X, Y)


def test_is_exported_where_others_expect_it():
    assert xling.measures.linear_cka is linear_cka


def test_bad_input_is_refused():
    X, Y = draw(0, 20, 5, 5)
    with pytest.raises(XlingError, match=r"Xs\[0\] has 20 rows and Ys\[0\] has 19"):
        linear_cka(X, Y[1:])
    with pytest.raises(XlingError, match=r"Ys\[0\] holds NaN"):
        linear_cka(X, Y * np.nan)
    with pytest.raises(XlingError, match="at least two items"):
        linear_cka(X[:1], Y[:1])


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


def draw_four(seed, n, d, e):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 3))
    X = common @ random.normal(size=(3, d)) + random.normal(size=(n, d)) + 3
    return X, common @ random.normal(size=(3, e)) + random.normal(size=(n, e)) - 3


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(4, 7), d=st.integers(2, 12), e=st.integers(2, 12))
def test_unbiased_equals_the_u_statistic(seed, n, d, e):
    X, Y = draw_four(seed, n, d, e)
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


def test_unbiased_ignores_rotation_scale_and_shift_but_not_a_general_linear_map():
    X, Y = draw_four(0, 50, 6, 9)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert debiased_cka(7 * X @ rotation - 4, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert debiased_cka(X, X) == pytest.approx(1, abs=1e-12)
    assert debiased_cka(X, X * [100, 1, 1, 1, 1, 1]) < 0.9


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1e250])
def test_unbiased_extreme_scales_neither_overflow_nor_vanish(scale):
    X, Y = draw_four(0, 20, 5, 5)
    assert debiased_cka(X * scale, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)


def test_approaches_plain_cka_with_many_items():
    X, Y = draw_four(0, 2000, 6, 9)
    assert debiased_cka(X, Y) == pytest.approx(linear_cka(X, Y), abs=0.01)


def test_batches_average_their_parts_before_dividing():
    X, Y = draw_four(0, 24, 5, 4)
    parts = [(X[i : i + 6], Y[i : i + 6]) for i in range(0, 24, 6)]
    cross, self_x, self_y = (
        np.mean([hsic_by_sums(*which(a, b)) for a, b in parts])
        for which in (lambda a, b: (a, b), lambda a, b: (a, a), lambda a, b: (b, b))
    )
    assert minibatch_cka(iter(parts)) == pytest.approx(cross / np.sqrt(self_x * self_y), abs=1e-9)
    assert minibatch_cka([(X, Y)]) == debiased_cka(X, Y)


def test_batches_of_any_size_estimate_the_same():
    X, Y = draw_four(0, 3000, 6, 5)
    whole = debiased_cka(X, Y)
    for size in (10, 100):
        batches = ((X[i : i + size], Y[i : i + size]) for i in range(0, 3000, size))
        assert minibatch_cka(batches) == pytest.approx(whole, abs=0.03)


def test_unbiased_degenerate_input():
    X, Y = draw_four(0, 10, 5, 5)
    assert debiased_cka(np.full((10, 5), 0.1), Y) == 0
    assert debiased_cka(np.eye(10), np.eye(10)) == 0  # equidistant items: all variance is bias
    beside = np.hstack([X, np.full((10, 2), 0.1)])
    assert debiased_cka(beside, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert debiased_cka(torch.tensor(X), torch.tensor(Y)) == debiased_cka(X, Y)


def test_unbiased_bad_input_is_refused():
    X, Y = draw_four(0, 10, 5, 5)
    with pytest.raises(XlingError, match="X has 10 rows and Y has 9"):
        debiased_cka(X, Y[1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        debiased_cka(X, Y * np.nan)
    with pytest.raises(XlingError, match="from four items on: found 3"):
        minibatch_cka([(X, Y), (X[:3], Y[:3])])
    with pytest.raises(XlingError, match="at least one batch"):
        minibatch_cka([])


@pytest.mark.parametrize("items", [3, 40])
def test_the_value_beside_an_interval_is_that_of_linear_cka(items):
    random = np.random.default_rng(1)
    X = random.normal(size=(items, 6)).astype(np.float32)
    Y = X @ random.normal(size=(6, 4)).astype(np.float32) + 3
    value, low, high = jackknifed_cka(X, Y)
    assert value == pytest.approx(linear_cka(X, Y), abs=1e-6)
    np.testing.assert_equal((low, high), cka_interval(X, Y))
    assert jackknifed_cka(np.ones((9, 2)), Y[:1].repeat(9, axis=0))[0] == 0
