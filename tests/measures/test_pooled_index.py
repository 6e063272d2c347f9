import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures import pooled_hits, pooled_index, precision_at_1
from xling.measures import scores as pairwise


def noisy(seed, languages=3, lines=20, width=6, noise=0.7):
    random = np.random.default_rng(seed)
    meaning = random.normal(size=(lines, width))
    return [meaning + noise * random.normal(size=(lines, width)) for _ in range(languages)]


def squared_cosine(x, y):
    """Sign and square of a cosine, times |x|²: exact for integers; None without direction."""
    dot, length = int(x @ y), int(y @ y)
    return dot * abs(dot) / length if length and x.any() else None


def pooled_by_loops(vectors, queries):
    hits = np.zeros((len(vectors), len(queries)))
    for language, side in enumerate(vectors):
        for place, row in enumerate(queries):
            scores = {
                (other, line): squared_cosine(side[row], y)
                for other, candidates in enumerate(vectors)
                for line, y in enumerate(candidates)
                if (other, line) != (language, row)
            }
            known = {key: score for key, score in scores.items() if score is not None}
            nearest = [key for key, score in known.items() if score == max(known.values())]
            right = [key for key in nearest if key[1] == row]
            hits[language, place] = len(right) / len(nearest) if nearest else 0
    return hits


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), d=st.integers(1, 3))
def test_pooled_hits_equal_loops_with_ties_duplicates_and_zero_vectors(seed, n, d):
    vectors = np.random.default_rng(seed).integers(-2, 3, size=(3, n, d))
    np.testing.assert_allclose(
        pooled_hits(vectors), pooled_by_loops(vectors, range(n)), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("size", [3, 4096])
def test_some_queries_in_small_parts_and_on_a_device(device, size, monkeypatch):
    vectors = [side.astype(np.float32) for side in noisy(0)]
    expected = pooled_hits(vectors)
    assert 0.2 < expected.mean() < 0.9
    monkeypatch.setattr(pairwise, "_HELD", 0)
    monkeypatch.setattr(pooled_index, "_QUERIES", size)
    monkeypatch.setattr(pooled_index, "_LINES", size)
    chosen = np.array([4, 0, 17])
    np.testing.assert_array_equal(pooled_hits(vectors, chosen, device=device), expected[:, chosen])


@pytest.mark.parametrize("step", [1e-2, 1e-3, 1e-4, 0.0])
@pytest.mark.parametrize("centre", [False, True])
def test_lines_nearer_than_single_precision_can_tell_are_settled_in_double(step, centre):
    random = np.random.default_rng(0)
    base = random.normal(size=(1, 40)) + random.normal(size=(30, 1, 1)).clip(0, 0.5)
    vectors = np.concatenate([base] * 3, axis=1).reshape(30, 3, 40)
    vectors = np.moveaxis(vectors + step * random.normal(size=vectors.shape), 1, 0)
    mine = vectors - vectors.mean(axis=1, keepdims=True) if centre else vectors
    units = (mine / np.linalg.norm(mine, axis=2, keepdims=True)).reshape(90, 40)
    cosine = units @ units.T
    np.fill_diagonal(cosine, -np.inf)
    near = cosine >= cosine.max(axis=1, keepdims=True) - 1e-12
    right = np.equal.outer(np.arange(90) % 30, np.arange(90) % 30)
    expected = (near & right).sum(axis=1) / near.sum(axis=1)
    np.testing.assert_allclose(pooled_hits(vectors, centre=centre).ravel(), expected)


def test_a_line_of_the_same_language_that_is_nearer_is_a_miss_until_centred():
    X, Y = (side / np.linalg.norm(side, axis=1)[:, None] for side in noisy(1, 2, 50, 8, noise=0.2))
    far = [
        np.hstack([side, np.tile(2 * own, (50, 1))])
        for side, own in zip((X, Y), np.eye(2), strict=True)
    ]
    assert precision_at_1(*far).mean > 0.9
    assert pooled_hits(far).mean() == 0
    assert pooled_hits(far, centre=True).mean() > 0.9


def test_languages_that_do_not_match_are_refused():
    X, Y = noisy(0, 2)
    with pytest.raises(XlingError, match=r"shapes \[\(20, 6\)\]: expected at least two"):
        pooled_hits([X])
    with pytest.raises(XlingError, match=r"\(19, 6\)\]: expected at least two.*the same lines"):
        pooled_hits([X, Y[1:]])
    with pytest.raises(XlingError, match=r"vectors\[1\] holds NaN"):
        pooled_hits([X, Y * np.nan])


def test_memory_of_many_languages_is_a_tile(monkeypatch):
    monkeypatch.setattr(pooled_index, "_QUERIES", 256)
    vectors = noisy(0, languages=40, lines=100, width=16)
    pooled_hits(vectors[:2])
    tracemalloc.start()
    try:
        hits = pooled_hits(vectors)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert hits.shape == (40, 100)
    assert peak < 3e6  # all cosines would take 128 MB
