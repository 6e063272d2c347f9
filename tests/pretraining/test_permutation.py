"""Orders that are permutations, differ by key and look uniform."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from xling.pretraining.permutation import permuted


@given(n=st.integers(1, 3000), key=st.integers(0, 2**128))
def test_every_number_occurs_once(n, key):
    order = permuted(np.arange(n), n, key)
    assert np.array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [2**20, 2**31 + 3, 2**61 + 1])
def test_large_ranges_need_no_memory_and_stay_injective(n):
    order = permuted(np.arange(n - 5000, n), n, key=7)
    assert len(np.unique(order)) == 5000
    assert order.min() >= 0
    assert order.max() < n
    assert abs(order.mean() / n - 0.5) < 0.05


def test_positions_may_come_in_any_order_and_shape():
    whole = permuted(np.arange(100), 100, key=1)
    positions = np.array([[5, 99], [0, 5]])
    assert np.array_equal(permuted(positions, 100, key=1), whole[positions])


def test_keys_give_different_orders():
    orders = {tuple(permuted(np.arange(50), 50, key)) for key in range(200)}
    assert len(orders) == 200


@pytest.mark.parametrize("n", [37, 300])
def test_every_place_holds_every_number_equally_often(n):
    places = np.array([0, 1, n // 2])
    held = np.array([permuted(places, n, key * 2**64 + key * 77) for key in range(2000)])
    for column in (0, 2):
        assert chisquare(np.bincount(held[:, column], minlength=n)).pvalue > 1e-4
    # Neighbours do not stay neighbours: the second is uniform over the n - 1 others
    gap = (held[:, 1] - held[:, 0]) % n
    assert chisquare(np.bincount(gap, minlength=n)[1:]).pvalue > 1e-4
