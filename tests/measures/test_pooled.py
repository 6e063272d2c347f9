"""Retrieval from one index of all languages, by CSLS and margin, and MEXA's strict diagonal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures import (
    csls,
    csls_hits,
    margin_hits,
    margin_ratio,
    mexa,
    pooled_hits,
    precision_at_1,
    rank_translations,
)
from xling.measures import retrieval as module
from xling.measures import scores as search


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
    monkeypatch.setattr(search, "_HELD", 0)
    monkeypatch.setattr(module, "_QUERIES", size)
    monkeypatch.setattr(module, "_ROWS", size)
    chosen = np.array([4, 0, 17])
    np.testing.assert_array_equal(pooled_hits(vectors, chosen, device=device), expected[:, chosen])


def test_a_line_of_the_same_language_that_is_nearer_is_a_miss_until_centred():
    X, Y = (side / np.linalg.norm(side, axis=1)[:, None] for side in noisy(1, 2, 50, 8, noise=0.2))
    far = [
        np.hstack([side, np.tile(2 * own, (50, 1))])
        for side, own in zip((X, Y), np.eye(2), strict=True)
    ]
    assert precision_at_1(*far).mean > 0.9
    assert pooled_hits(far).mean() == 0
    assert pooled_hits(far, centre=True).mean() > 0.9


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_vectors_that_are_all_the_same_score_chance_everywhere(centre, device):
    X = np.tile(np.random.default_rng(0).normal(size=37), (30, 1)).astype(np.float32)
    np.testing.assert_allclose(pooled_hits([X, 2 * X, X], None, centre, device), 2 / 89)
    for hits in (precision_at_1, csls_hits):
        found = hits(X, 3 * X, centre=centre, device=device)
        np.testing.assert_allclose([found.forward_hits, found.backward_hits], 1 / 30)
    np.testing.assert_allclose(margin_hits(X, 3 * X, device=device).forward_hits, 1 / 30)
    np.testing.assert_array_equal(mexa(X, X, device), 0)


def test_the_same_language_twice_is_found_and_permuted_lines_are_not():
    X = noisy(2, 1, 200, 16)[0]
    assert pooled_hits([X, X]).mean() == 1
    assert mexa(X, X).mean() == csls_hits(X, X).mean == margin_hits(X, X).mean == 1
    shuffled = X[np.random.default_rng(0).permutation(200)]
    assert pooled_hits([X, shuffled]).mean() < 0.03
    assert csls_hits(X, shuffled).mean < 0.03
    assert mexa(X, shuffled).mean() < 0.03


def mexa_by_definition(X, Y):
    """c_ii > max over j != i of c_ij and c_ji, from squares of exact integers."""
    n = len(X)

    def higher(i, j, k, m):
        a, b = int(X[i] @ Y[j]), int(X[k] @ Y[m])
        first = a * abs(a) * int(X[k] @ X[k]) * int(Y[m] @ Y[m])
        return first > b * abs(b) * int(X[i] @ X[i]) * int(Y[j] @ Y[j])

    return [
        all(higher(i, i, i, j) and higher(i, i, j, i) for j in range(n) if j != i) for i in range(n)
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), d=st.integers(1, 3))
def test_mexa_equals_its_published_definition(seed, n, d):
    X, Y = np.random.default_rng(seed).integers(-3, 4, size=(2, n, d))
    X[~X.any(axis=1)], Y[~Y.any(axis=1)] = 1, 1
    np.testing.assert_array_equal(mexa(X, Y), mexa_by_definition(X, Y))


def test_a_sentence_without_tokens_is_not_aligned():
    np.testing.assert_array_equal(mexa(np.eye(2) * [[1], [0]], np.eye(2)), [1, 0])


@pytest.mark.parametrize("held", [0, 1 << 22])
@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    ("hits", "scores", "k"), [(csls_hits, csls, 10), (margin_hits, margin_ratio, 4)]
)
def test_hits_are_the_largest_scores_of_the_full_matrix(hits, scores, k, device, held, monkeypatch):
    X, Y = noisy(3, 2, 60, 8)
    matrix = scores(X, Y, k)
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(search, "_HELD", held)
    found = hits(X, Y, device=device)
    np.testing.assert_array_equal(found.forward_hits, matrix.argmax(1) == np.arange(60))
    np.testing.assert_array_equal(found.backward_hits, matrix.argmax(0) == np.arange(60))
    assert 0.2 < found.mean < 0.9


@pytest.mark.parametrize("hits", [csls_hits, margin_hits])
def test_zero_vectors_take_no_part(hits):
    X, Y = noisy(4, 2, 30, 8, noise=0.3)
    hole = np.zeros((1, 8))
    whole, found = hits(X, Y), hits(np.vstack([X, hole]), np.vstack([Y, hole]))
    np.testing.assert_array_equal(found.forward_hits, [*whole.forward_hits, 0])
    np.testing.assert_array_equal(found.backward_hits, [*whole.backward_hits, 0])


def test_words_without_direction_are_missed_by_one_rule():
    X, Y = np.eye(3), np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])
    for similarity in ("cosine", "csls"):
        forward, backward = rank_translations(X, Y, [[0, 0], [1, 1], [2, 2]], similarity, k=1)
        np.testing.assert_array_equal(forward.hits(1), [1, 0, 1])
        np.testing.assert_array_equal(backward.hits(1), [1, 0, 1])
        assert forward.reciprocal_ranks[1] == 0.25
    # Another translation of the same word still counts.
    forward, _ = rank_translations(X, Y, [[0, 0], [0, 1]], "cosine")
    np.testing.assert_array_equal(forward.hits(1), [1])


def test_bad_input_is_refused():
    X, Y = noisy(0, 2)
    with pytest.raises(XlingError, match=r"shapes \[\(20, 6\)\]: expected at least two"):
        pooled_hits([X])
    with pytest.raises(XlingError, match=r"\(19, 6\)\]: expected at least two.*the same lines"):
        pooled_hits([X, Y[1:]])
    with pytest.raises(XlingError, match=r"vectors\[1\] holds NaN"):
        pooled_hits([X, Y * np.nan])
    with pytest.raises(XlingError, match="k is 0"):
        csls_hits(X, Y, k=0)
