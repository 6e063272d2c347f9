import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from xling.errors import XlingError
from xling.measures import precision_at_1, rotated_hits, rotation, rotation_gain


def turned_copy(seed=0, n=120, d=10, noise=0.0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + 1
    turn = np.linalg.qr(random.normal(size=(d, d)))[0]
    return X, (X + noise * random.normal(size=X.shape)) @ turn - 3


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("n", [120, 30])
def test_a_rotated_copy_is_found_exactly(device, n):
    X, Y = turned_copy(n=n)
    assert precision_at_1(X, Y, centre=True).mean < 0.2
    assert rotated_hits(X, Y, device=device).mean == 1


def test_equals_scipy_fold_by_fold(monkeypatch):
    X, Y = turned_copy(1, n=60, d=8, noise=0.6)
    monkeypatch.setattr(rotation, "_TO_IDENTITY", 0.0)
    order = rotation.generator(3, "rotation folds", 60).permutation(60)
    expected = np.zeros((2, 60))
    for fold in range(4):
        test = np.sort(order[fold::4])
        train = np.setdiff1d(np.arange(60), test)
        x, y = ((side - side[train].mean(axis=0)) for side in (X, Y))
        x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
        cosine = x @ orthogonal_procrustes(x[train], y[train])[0] @ y.T
        expected[0, test] = cosine[test].argmax(axis=1) == test
        expected[1, test] = cosine[:, test].argmax(axis=0) == test
    found = rotated_hits(X, Y, folds=4, seed=3)
    np.testing.assert_array_equal([found.forward_hits, found.backward_hits], expected)
    assert 0.3 < found.mean < 0.95


def test_never_fitted_on_lines_it_is_tested_on():
    """Unrelated pairs with more dimensions than lines: a map that saw them would be perfect."""
    X, Y = np.random.default_rng(0).normal(size=(2, 60, 100))
    assert rotated_hits(X, Y).mean < 0.1
    assert rotation_gain(X, Y, [40], 20)[1].mean() < 0.2


def test_gain_grows_with_pairs_and_begins_at_centred_retrieval():
    X, Y = turned_copy(2, n=300, d=20, noise=0.3)
    found = rotation_gain(X, Y, [5, 20, 100, 200], 100, seed=4)
    assert found.shape == (5, 100)
    means = found.mean(axis=1)
    assert means[0] < 0.1 < means[2] - 0.3
    assert (np.diff(means) > -0.02).all()
    assert means[-1] > 0.95
    order = rotation.generator(4, "rotation pairs", 300).permutation(300)
    test, train = np.sort(order[:100]), order[100:]
    x, y = X - X[train].mean(axis=0), Y - Y[train].mean(axis=0)
    plain = precision_at_1(x[test], y[test])
    np.testing.assert_array_equal(found[0], (plain.forward_hits + plain.backward_hits) / 2)


def test_few_pairs_leave_a_shared_space_as_it_is():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 50))
    Y = X + 0.5 * random.normal(size=X.shape)
    none, ten = rotation_gain(X, Y, [10], 100).mean(axis=1)
    assert none > 0.9
    assert ten > 0.8  # with an arbitrary completion it would be chance


def test_vectors_that_are_all_the_same_score_chance_and_zero_rows_miss():
    X = np.tile(np.random.default_rng(0).normal(size=7), (20, 1)).astype(np.float32)
    found = rotated_hits(X, 2 * X)
    np.testing.assert_allclose([found.forward_hits, found.backward_hits], 1 / 20)
    X, Y = turned_copy()
    X[5] = 0
    hits = rotated_hits(X, Y).forward_hits
    assert hits[5] == 0
    assert np.delete(hits, 5).mean() == 1


def test_permuted_lines_fall_to_chance():
    X, Y = turned_copy(n=200)
    assert rotated_hits(X, Y[np.random.default_rng(0).permutation(200)]).mean < 0.03


def test_bad_input_is_refused():
    X, Y = turned_copy()
    with pytest.raises(XlingError, match="width 10 and Y 9: expected vectors of one model"):
        rotated_hits(X, Y[:, 1:])
    with pytest.raises(XlingError, match="120 lines and 121 folds"):
        rotated_hits(X, Y, folds=121)
    for sizes, test in (([118], 3), ([0], 3), ([5], 120), ([5], 0)):
        with pytest.raises(XlingError, match=f"^{test} test lines and sizes"):
            rotation_gain(X, Y, sizes, test)
