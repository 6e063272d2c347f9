import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from xling.errors import XlingError
from xling.measures import (
    Ranking,
    bootstrap_interval,
    csls,
    csls_hits,
    margin_hits,
    margin_ratio,
    mexa,
    pooled_hits,
    precision_at_1,
    rank_translations,
    retrieval,
)
from xling.measures import scores as pairwise


def noisy_pair(seed, n, d, noise):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + 1
    return X, X + noise * random.normal(size=(n, d))


def brute_force(X, Y):
    """Forward hits by loops over exact integer arithmetic: cosines are compared as fractions."""
    hits = []
    for i, x in enumerate(X):
        scores = []
        for y in Y:
            dot, norm = int(x @ y), int(y @ y)
            scores.append(dot * abs(dot) / norm if norm else -np.inf)
        best = max(scores)
        hit = scores[i] == best and (x != 0).any() and (Y[i] != 0).any()
        hits.append(1 / scores.count(best) if hit else 0.0)
    return hits


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), d=st.integers(1, 3))
def test_equals_loops_with_ties_duplicates_and_zero_vectors(seed, n, d):
    X, Y = np.random.default_rng(seed).integers(-2, 3, size=(2, n, d))
    found = precision_at_1(X, Y)
    np.testing.assert_allclose(found.forward_hits, brute_force(X, Y), atol=1e-15)
    np.testing.assert_allclose(found.backward_hits, brute_force(Y, X), atol=1e-15)


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("block", [7, 1024])
def test_equals_nearest_neighbours_of_scikit_learn(centre, block, monkeypatch):
    monkeypatch.setattr(pairwise, "_HELD", 0)
    monkeypatch.setattr(retrieval, "_ROWS", block)
    monkeypatch.setattr(retrieval, "_COLUMNS", block + 1)
    X, Y = noisy_pair(0, 150, 8, noise=1.0)
    found = precision_at_1(X.astype(np.float32), Y.astype(np.float32), centre)
    x, y = (X - X.mean(0), Y - Y.mean(0)) if centre else (X, Y)
    for queries, candidates, hits in ((x, y, found.forward_hits), (y, x, found.backward_hits)):
        search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(candidates)
        expected = search.kneighbors(queries, return_distance=False)[:, 0] == np.arange(150)
        np.testing.assert_array_equal(hits, expected)
    assert 0.1 < found.mean < 0.9
    assert found.mean == pytest.approx((found.forward_hits.mean() + found.backward_hits.mean()) / 2)


@pytest.mark.parametrize("n", [1, 2, 7, 1500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_that_are_all_the_same_score_exactly_chance(n, dtype):
    X = np.tile(np.random.default_rng(0).normal(size=37), (n, 1)).astype(dtype)
    found = precision_at_1(X, 3 * X)
    np.testing.assert_array_equal(found.forward_hits, 1 / n)
    np.testing.assert_array_equal(found.backward_hits, 1 / n)
    assert found.chance == 1 / n


def test_centring_takes_away_what_a_language_has_in_common():
    X, Y = noisy_pair(0, 100, 6, noise=0.3)
    # A direction that the rows do not use, so shifts of X and of Y only mislead.
    far = np.hstack([X, np.full((100, 1), 50.0)])
    opposite = np.hstack([Y, np.full((100, 1), -50.0)])
    assert precision_at_1(far, opposite).mean < 0.3
    assert precision_at_1(far, opposite, centre=True).mean > 0.8
    shifted = precision_at_1(X + 7, Y - 3, centre=True)
    np.testing.assert_array_equal(
        shifted.forward_hits, precision_at_1(X, Y, centre=True).forward_hits
    )


def test_empty_sentences_neither_match_each_other_nor_move_the_mean():
    X, Y = noisy_pair(0, 40, 6, noise=0.5)
    hole = np.zeros((1, 6))
    whole = precision_at_1(X, Y, centre=True)
    found = precision_at_1(np.vstack([X, hole]), np.vstack([Y, hole]), centre=True)
    np.testing.assert_array_equal(found.forward_hits, [*whole.forward_hits, 0])
    np.testing.assert_array_equal(found.backward_hits, [*whole.backward_hits, 0])
    assert precision_at_1(np.zeros((3, 2)), np.zeros((3, 2)), centre=True).mean == 0


def test_a_zero_vector_is_nobodys_neighbour():
    X, Y = np.array([[1.0, 0], [0, 0]]), np.array([[-1.0, 0.1], [0, 0]])
    # The cosine of the translation is negative, yet it is the only vector with a direction.
    np.testing.assert_array_equal(precision_at_1(X, Y).forward_hits, [1, 0])
    np.testing.assert_array_equal(precision_at_1(X, Y).backward_hits, [1, 0])


def test_no_order_of_duplicates_helps():
    X = np.eye(3)[[0, 0, 1, 2]]
    np.testing.assert_array_equal(precision_at_1(X, X).forward_hits, [0.5, 0.5, 1, 1])


def test_bad_input_is_refused():
    X, Y = noisy_pair(0, 10, 4, noise=1)
    with pytest.raises(XlingError, match="X has 10 rows and Y has 9"):
        precision_at_1(X, Y[1:])
    with pytest.raises(XlingError, match=r"width 4 and Y 3.*align them first"):
        precision_at_1(X, Y[:, 1:])
    with pytest.raises(XlingError, match="Y holds NaN"):
        precision_at_1(X, Y * np.nan)


def test_interval_matches_the_binomial_and_is_reproducible():
    n, p = 1000, 0.3
    hits = (np.arange(n) < p * n).astype(float)
    low, high = bootstrap_interval(hits, seed=1)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert low == pytest.approx(p - half, abs=0.006)
    assert high == pytest.approx(p + half, abs=0.006)
    assert (low, high) == bootstrap_interval(hits, seed=1)
    assert (low, high) != bootstrap_interval(hits, seed=2)


def test_intervals_of_many_vectors_use_the_same_draws(monkeypatch):
    hits = np.random.default_rng(0).random((3, 2, 50))
    low, high = bootstrap_interval(hits, seed=0, resamples=200)
    assert low.shape == high.shape == (3, 2)
    one_low, one_high = bootstrap_interval(hits[2, 1], seed=0, resamples=200)
    assert (low[2, 1], high[2, 1]) == (pytest.approx(one_low), pytest.approx(one_high))
    assert (low < hits.mean(axis=-1)).all()
    assert (hits.mean(axis=-1) < high).all()


def test_interval_equals_plain_resampling():
    hits = np.random.default_rng(3).random(40)
    from xling.randomness import generator

    random = generator(5, "bootstrap", 40)
    means = [hits[row].mean() for row in random.integers(40, size=(100, 40))]
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(hits, 5, resamples=100), expected)


def expected_by_all_orders(scores, gold, k):
    """Mean of hit and reciprocal rank over every order of the candidates, sorted stably."""
    hits, reciprocal = [], []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda y: -scores[y])
        first = min(ranked.index(y) for y in gold)
        hits.append(first < k)
        reciprocal.append(1 / (first + 1))
    return np.mean(hits), np.mean(reciprocal)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    scores=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    k=st.integers(1, 6),
)
def test_ties_count_as_the_mean_over_all_orders(data, scores, k):
    gold = data.draw(st.sets(st.sampled_from(range(len(scores))), min_size=1))
    best = max(scores[y] for y in gold)
    found = Ranking(
        np.array([0]),
        np.array([sum(s > best for s in scores)]),
        np.array([sum(s == best for s in scores)]),
        np.array([sum(scores[y] == best for y in gold)]),
    )
    hits, reciprocal = expected_by_all_orders(scores, gold, k)
    assert found.precision(k) == pytest.approx(hits, abs=1e-12)
    assert found.mrr == pytest.approx(reciprocal, abs=1e-12)


def plain_ranks(scores, pairs):
    """Rank of the best gold translation of each query, by sorting whole rows (no ties)."""
    gold = {}
    for x, y in pairs:
        gold.setdefault(x, set()).add(y)
    ranks = []
    for x in sorted(gold):
        order = list(np.argsort(-scores[x]))
        ranks.append(min(order.index(y) for y in gold[x]) + 1)
    return np.array(ranks)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("blocks", [(7, 11), (256, 8192)])
def test_both_directions_and_several_translations(dtype, blocks, monkeypatch):
    monkeypatch.setattr(pairwise, "_HELD", 0)
    monkeypatch.setattr(retrieval, "_ROWS", blocks[0])
    monkeypatch.setattr(retrieval, "_COLUMNS", blocks[1])
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 5))
    Y = np.vstack([X[:40] + 0.4 * random.normal(size=(40, 5)), random.normal(size=(50, 5))])
    pairs = [(i, i) for i in range(40)] + [(i, i + 45) for i in range(0, 40, 3)] + [(3, 3)]
    forward, backward = rank_translations(X.astype(dtype), Y.astype(dtype), pairs, k=5)
    scores = csls(X, Y, k=5)
    for found, full, gold in (
        (forward, scores, pairs),
        (backward, scores.T, [(y, x) for x, y in pairs]),
    ):
        ranks = plain_ranks(full, gold)
        np.testing.assert_array_equal(found.queries, sorted({x for x, _ in gold}))
        for k in (1, 5, 10):
            assert found.precision(k) == pytest.approx((ranks <= k).mean(), abs=1e-12)
        assert found.mrr == pytest.approx((1 / ranks).mean(), abs=1e-12)
    assert 0.3 < forward.precision(1) < forward.precision(5) < 1


@pytest.mark.parametrize("similarity", ["csls", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_that_are_all_the_same_score_what_guessing_does(similarity, dtype):
    X = np.tile(np.random.default_rng(0).normal(size=37), (90, 1)).astype(dtype)
    pairs = np.column_stack([np.arange(20), np.arange(20)])
    for found in rank_translations(X, 3 * X, pairs, similarity):
        assert found.precision(1) == pytest.approx(1 / 90, abs=1e-12)
        assert found.precision(10) == pytest.approx(10 / 90, abs=1e-12)
        assert found.mrr == pytest.approx(np.mean(1 / np.arange(1, 91)), abs=1e-12)


def test_duplicates_of_the_right_answer_share_the_hit():
    Y = np.eye(3)[[0, 1, 2, 2]]
    found, _ = rank_translations(np.eye(3), Y, [[0, 0], [2, 3]], "cosine")
    np.testing.assert_allclose(found.hits(1), [1, 0.5])
    np.testing.assert_allclose(found.hits(2), [1, 1])
    both, _ = rank_translations(np.eye(3), Y, [[2, 2], [2, 3]], "cosine")
    np.testing.assert_allclose(both.hits(1), [1])


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (np.empty((0, 2), dtype=int), r"shape \(0, 2\).*any words in common"),
        ([0, 1], r"shape \(2,\): expected \[pairs, 2\]"),
        ([[0.0, 1.0]], "float64: expected row numbers"),
        ([[0, 0], [1, 4]], r"gold pair 1 is \[1, 4\]: X has 3 rows and Y has 4"),
        ([[-1, 0]], r"gold pair 0 is \[-1, 0\]"),
    ],
)
def test_bad_gold_is_refused(gold, message):
    with pytest.raises(XlingError, match=message):
        rank_translations(np.eye(3), np.eye(3)[[0, 1, 2, 2]], gold)


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
    monkeypatch.setattr(retrieval, "_QUERIES", size)
    monkeypatch.setattr(retrieval, "_ROWS", size)
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
def test_constant_vectors_score_chance_by_every_measure(centre, device):
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
    ("hits", "full", "k"), [(csls_hits, csls, 10), (margin_hits, margin_ratio, 4)]
)
def test_hits_are_the_largest_scores_of_the_full_matrix(hits, full, k, device, held, monkeypatch):
    X, Y = noisy(3, 2, 60, 8)
    matrix = full(X, Y, k)
    monkeypatch.setattr(retrieval, "_ROWS", 7)
    monkeypatch.setattr(pairwise, "_HELD", held)
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


def test_languages_that_do_not_match_are_refused():
    X, Y = noisy(0, 2)
    with pytest.raises(XlingError, match=r"shapes \[\(20, 6\)\]: expected at least two"):
        pooled_hits([X])
    with pytest.raises(XlingError, match=r"\(19, 6\)\]: expected at least two.*the same lines"):
        pooled_hits([X, Y[1:]])
    with pytest.raises(XlingError, match=r"vectors\[1\] holds NaN"):
        pooled_hits([X, Y * np.nan])
    with pytest.raises(XlingError, match="k is 0"):
        csls_hits(X, Y, k=0)


def test_memory_of_many_languages_is_a_tile(monkeypatch):
    monkeypatch.setattr(retrieval, "_QUERIES", 256)
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
