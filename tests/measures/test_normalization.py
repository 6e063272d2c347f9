import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xling.alignment
from xling.errors import XlingError
from xling.measures.normalization import Normalizer, iterative_normalize


def draw(seed, n, d, offset=1.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + offset


def alternate(X, rounds):
    """Zhang et al. 2019, section 3, row by row."""
    rows = [list(map(float, row)) for row in X]
    for _ in range(rounds):
        lengths = [sum(v * v for v in row) ** 0.5 for row in rows]
        rows = [[v / length for v in row] for row, length in zip(rows, lengths, strict=True)]
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        rows = [[v - m for v, m in zip(row, means, strict=True)] for row in rows]
    return np.array(rows)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(8, 40), d=st.integers(4, 20))
def test_iterative_normalisation_is_stable_and_equals_plain_loops(seed, n, d):
    X = draw(seed, n, d)
    normalizer = Normalizer("iterative", tolerance=1e-4)
    found = normalizer.fit_transform(X)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(found, alternate(X, len(normalizer.means_)), atol=1e-10)
    assert normalizer.spread_ <= 1e-4


def test_one_round_of_unit_and_centre_is_not_stable():
    X = draw(0, 50, 5, offset=2)
    with pytest.warns(RuntimeWarning, match="not stable after 1 rounds"):
        iterative_normalize(X, maximum_rounds=1)


def test_scale_of_a_row_does_not_matter_and_the_input_stays_as_it_was():
    X = draw(0, 40, 6)
    before = X.copy()
    scaled = X * np.logspace(-150, 150, 40)[:, None]
    np.testing.assert_allclose(iterative_normalize(scaled), iterative_normalize(X), atol=1e-12)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("method", ["none", "centre", "unit", "iterative"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_repeats_what_fit_did_and_is_a_function_of_one_row(method, dtype):
    X, other = draw(0, 60, 5).astype(dtype), draw(1, 7, 5).astype(dtype)
    normalizer = Normalizer(method)
    fitted = normalizer.fit_transform(X)
    assert fitted.dtype == dtype
    np.testing.assert_array_equal(normalizer.transform(X), fitted)
    together = normalizer.transform(other)
    alone = np.vstack([normalizer.transform(row[None]) for row in other])
    np.testing.assert_allclose(together, alone, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_simple_methods():
    X = draw(0, 30, 4)
    np.testing.assert_array_equal(Normalizer("none").fit(X).transform(X), X)
    np.testing.assert_allclose(Normalizer("centre").fit_transform(X), X - X.mean(0), atol=1e-14)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(Normalizer("unit").fit_transform(X), X / lengths, atol=1e-14)
    # The mean is that of the fitted rows, not of the transformed ones.
    np.testing.assert_allclose(
        Normalizer("centre").fit(X[:10]).transform(X[10:]), X[10:] - X[:10].mean(0), atol=1e-14
    )


def test_constant_columns_and_duplicates():
    X = draw(0, 40, 6)
    X[:, 2] = 3.0
    X[20:] = X[:20]
    found = iterative_normalize(X)
    np.testing.assert_array_equal(found[20:], found[:20])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    assert (Normalizer("centre").fit_transform(X)[:, 2] == 0).all()


def test_what_cannot_be_stable_is_said():
    mostly_one = np.vstack([np.tile([1.0, 0, 0], (9, 1)), np.eye(3)])
    with pytest.warns(RuntimeWarning, match="not stable after 100 rounds"):
        iterative_normalize(mostly_one)
    with pytest.raises(XlingError, match="all rows of X have the same direction"):
        iterative_normalize(np.outer([1.0, 2, 5, 0.1], [1, 2, 3]))


def test_bad_input_is_refused():
    X = draw(0, 10, 3)
    with pytest.raises(XlingError, match="X holds NaN"):
        iterative_normalize(np.where(X > 1, np.nan, X))
    X[4] = 0
    with pytest.raises(XlingError, match=r"1 zero rows of 10 \(first: row 4\)"):
        iterative_normalize(X)
    with pytest.raises(XlingError, match="has not been fitted"):
        Normalizer().transform(X)
    with pytest.raises(XlingError, match="width 2: fitted on vectors of width 3"):
        Normalizer("centre").fit(X).transform(X[:, :2])
    with pytest.raises(XlingError, match="'center': expected one of"):
        Normalizer("center")
    with pytest.raises(XlingError, match="must be positive"):
        Normalizer(tolerance=0)


def test_save_and_load(tmp_path):
    X = draw(0, 30, 4)
    normalizer = Normalizer("iterative", tolerance=1e-3).fit(X)
    normalizer.save(tmp_path / "n.safetensors")
    loaded = Normalizer.load(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), normalizer.transform(X))
    assert (loaded.method, loaded.tolerance) == ("iterative", 1e-3)


def test_takes_tensors_and_is_exported():
    X = draw(0, 30, 4)
    np.testing.assert_array_equal(
        xling.measures.iterative_normalize(torch.tensor(X)), iterative_normalize(X)
    )
