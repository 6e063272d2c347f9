import numpy as np
import pytest
import torch

from xling.errors import XlingError
from xling.measures.arrays import as_matrix, centred, to_numpy, unit_rows, vanishing


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.ones((2, 3), dtype=np.float16), np.float32),
        (np.ones((2, 3), dtype=np.float32), np.float32),
        (np.ones((2, 3), dtype=np.float64), np.float64),
        (np.ones((2, 3), dtype=np.int64), np.float64),
        (torch.ones(2, 3, dtype=torch.bfloat16), np.float32),
        (torch.ones(2, 3, dtype=torch.float64, requires_grad=True), np.float64),
        ([[1, 2], [3, 4]], np.float64),
    ],
)
def test_arrays_of_either_library_become_float_matrices(given, dtype):
    assert as_matrix(given, "X").dtype == dtype


def test_bad_values_are_named_by_row():
    X = np.ones((4, 2))
    X[2, 1] = np.nan
    X[3, 0] = np.inf
    with pytest.raises(
        XlingError, match=r"X holds NaN or infinity in 2 of 4 rows \(first: row 2\)"
    ):
        as_matrix(X, "X")


@pytest.mark.parametrize("shape", [(3,), (0, 4), (4, 0), (2, 2, 2)])
def test_only_matrices_are_accepted(shape):
    with pytest.raises(XlingError, match="expected a matrix"):
        as_matrix(np.ones(shape), "X")


def test_centring_is_exact_for_constants_and_leaves_the_input_alone():
    X = np.column_stack([np.full(7, 0.1), np.arange(7)])
    before = X.copy()
    result = centred(X)
    assert (result[:, 0] == 0).all()
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_array_equal(X, before)


def test_centring_keeps_precision_beside_a_large_offset():
    spread = np.random.default_rng(0).integers(-8, 8, size=(500, 3)).astype(np.float32)
    shifted = spread + np.float32(2**20)
    np.testing.assert_allclose(centred(shifted), spread - spread.mean(axis=0), atol=1e-5)


def test_tensors_keep_their_values_as_arrays():
    assert to_numpy(torch.tensor([True, False])).dtype == bool
    np.testing.assert_array_equal(to_numpy(torch.tensor([1.5, 2], dtype=torch.bfloat16)), [1.5, 2])
    array = np.arange(3)
    assert to_numpy(array) is array


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_zero_rows_are_refused_or_stay_zero(scale):
    X = np.array([[3.0, 4.0], [0, 0], [0, -2]]) * scale
    np.testing.assert_array_equal(vanishing(X), [False, True, False])
    np.testing.assert_allclose(unit_rows(X, "X", zero_rows=True), [[0.6, 0.8], [0, 0], [0, -1]])
    with pytest.raises(XlingError, match=r"X has 1 zero rows of 3 \(first: row 1\)"):
        unit_rows(X, "X")
