"""Counts by products in single precision against loops in double, where rounding decides too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.measures import gold_ranks, precision_at_1
from xling.measures.gold_ranks import nearer_than_gold


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)


def by_loops(x, y, gold):
    better, at_least = np.zeros((2, len(x)), dtype=int)
    for i in range(len(x)):
        level = float(np.dot(x[i], y[gold[i]]))
        for j in range(len(y)):
            cosine = float(np.dot(x[i], y[j]))
            better[i] += cosine > level + 1e-12
            at_least[i] += cosine >= level - 1e-12
    return better, at_least


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 40), st.integers(1, 30), st.sampled_from([1e-3, 1e-9]))
def test_counts_equal_loops_with_near_ties_duplicates_and_zero_rows(seed, n, d, apart):
    """Rows lie closer together than single precision can tell."""
    random = np.random.default_rng(seed)
    x = unit(random.normal(size=(n, d)) * apart + random.normal(size=d))
    y = unit(x + apart * random.normal(size=x.shape))
    for side in (x, y):
        side[random.integers(n, size=n // 3)] = side[random.integers(n, size=n // 3)]
        side[random.integers(n, size=n // 8)] = 0
    gold = random.integers(n, size=n)
    found = nearer_than_gold(x, y, gold)
    if found is not None:
        np.testing.assert_array_equal(found[0], by_loops(x, y, gold))
    both = nearer_than_gold(x, y, np.arange(n), both=True)
    if both is not None:
        np.testing.assert_array_equal(both[0], by_loops(x, y, np.arange(n)))
        np.testing.assert_array_equal(both[1], by_loops(y, x, np.arange(n)))


@pytest.mark.parametrize("anisotropy", [0.0, 30.0])
def test_single_precision_settles_sentences_in_tiles_of_any_size(anisotropy, monkeypatch):
    random = np.random.default_rng(0)
    x = unit(random.normal(size=(200, 32)) + anisotropy)
    y = unit(x + 0.2 * random.normal(size=x.shape) / (1 + anisotropy))
    whole = nearer_than_gold(x, y, np.arange(200), both=True)
    assert whole is not None
    np.testing.assert_array_equal(whole[0], by_loops(x, y, np.arange(200)))
    np.testing.assert_array_equal(whole[1], by_loops(y, x, np.arange(200)))
    monkeypatch.setattr(gold_ranks, "_ROWS", 7)
    monkeypatch.setattr(gold_ranks, "_COLUMNS", 33)
    np.testing.assert_array_equal(nearer_than_gold(x, y, np.arange(200), both=True), whole)


def test_rows_that_are_all_near_are_left_to_double_precision():
    x = unit(np.random.default_rng(0).normal(size=(1, 16)) * np.ones((100, 1)))
    assert nearer_than_gold(x, x, np.arange(100), both=True) is None
    np.testing.assert_allclose(precision_at_1(x, x).forward_hits, 1 / 100)
