import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.measures import scores as definitions
from xling.measures import search, translate
from xling.measures.search import top_k, top_k_of_both
from xling.measures.tiles import Scores

ADVERSARIAL = ["duplicates", "zero rows", "one bit apart", "lengths", "constant"]


@pytest.fixture(params=["float32", "bfloat16"])
def first(request, monkeypatch):
    """The precision of the first products, in small tiles; bfloat16 is right on any processor."""
    monkeypatch.setattr(search, "_MANY", 0)
    monkeypatch.setattr(search, "_ROWS", 128)
    monkeypatch.setattr(search, "_COLUMNS", 256)
    monkeypatch.setattr(search, "_fast_bfloat16", lambda: request.param == "bfloat16")
    monkeypatch.setattr(definitions, "_HELD", 0)
    return request.param


def units(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def draw(case, n=300, m=500, d=24):
    random = np.random.default_rng(case if isinstance(case, int) else 99)
    A, B = units(random.normal(size=(n, d))), units(random.normal(size=(m, d)))
    if case == "duplicates":
        A[100:200] = A[:100]
        B[::3] = B[0]
        B[1::6] = A[1]
    elif case == "zero rows":
        A[::7] = B[::5] = 0
    elif case == "one bit apart":
        B[:] = A[np.arange(m) % 20]
        B[100:] = np.nextafter(B[100:], np.float32(2))
        B[200:, 3] = np.nextafter(B[200:, 3], np.float32(2))
        B[300:, ::2] = np.nextafter(B[300:, ::2], np.float32(-2))
    elif case == "lengths":
        A *= np.float32(10) ** random.integers(-3, 4, size=(n, 1)).astype(np.float32)
        B *= np.float32(10) ** random.integers(-3, 4, size=(m, 1)).astype(np.float32)
    elif case == "constant":
        A[:], B[:] = A[0], B[0]
    return A, B


def plain(product, count):
    """The largest of every row of a whole matrix, equal ones in the order of their columns."""
    columns = np.argsort(-product, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(product, columns, axis=1), columns


def check(found, product, count):
    for (entries, columns), whole in zip(found, (product, product.T), strict=False):
        expected = plain(whole, count)
        np.testing.assert_array_equal(entries, expected[0])
        np.testing.assert_array_equal(columns, expected[1])


@pytest.mark.parametrize("case", [*range(20), *ADVERSARIAL])
def test_equals_sorting_the_product_in_both_directions(case, first):
    A, B = draw(case)
    product = (A.astype(float) @ B.astype(float).T).astype(np.float32)
    for count in (1, 5):
        check([top_k(Scores(A, B), count)], product, count)
        check(top_k_of_both(Scores(A, B), count), product, count)


@pytest.mark.parametrize("case", [0, *ADVERSARIAL])
def test_equals_sorting_with_divisors_and_rows_without_direction(case, first):
    A, B = draw(case)
    random = np.random.default_rng(5)
    divisors = tuple(random.uniform(0.3, 2, len(side)).astype(np.float32) for side in (A, B))
    empty = tuple(random.random(len(side)) < 0.2 for side in (A, B))
    product = (A.astype(float) @ B.astype(float).T).astype(np.float32)
    product /= divisors[0][:, None] + divisors[1]
    product[empty[0]] = product[:, empty[1]] = -np.inf
    check(top_k_of_both(Scores(A, B, divisors, empty), 5), product, 5)


def test_few_rows_with_a_direction_and_more_places_than_rows(first):
    A, B = draw(0)
    product = (A.astype(float) @ B.astype(float).T).astype(np.float32)
    for count in (299, 300, 499, 1000):
        check(top_k_of_both(Scores(A, B), count), product, count)
    nearly_all = np.arange(300) > 2, np.arange(500) > 3
    product[nearly_all[0]] = product[:, nearly_all[1]] = -np.inf
    check(top_k_of_both(Scores(A, B, None, nearly_all), 5), product, 5)


@pytest.mark.parametrize("case", [*range(3), *ADVERSARIAL])
def test_rows_in_float64_are_sorted_by_their_scores_in_float64(case, first):
    A, B = (side.astype(float) for side in draw(case))
    A += 1e-10 * np.random.default_rng(1).normal(size=A.shape)  # what float32 does not see
    product = A @ B.T
    for (entries, columns), whole in zip(
        top_k_of_both(Scores(A, B), 5), (product, product.T), strict=True
    ):
        scale = np.linalg.norm(A, axis=1).max() * np.linalg.norm(B, axis=1).max()
        np.testing.assert_allclose(entries, plain(whole, 5)[0], rtol=0, atol=1e-15 * scale)
        np.testing.assert_allclose(
            np.take_along_axis(whole, columns, axis=1), entries, rtol=0, atol=1e-15 * scale
        )
        assert all(len(set(row)) == 5 for row in columns)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    d=st.integers(1, 400),
    fast=st.booleans(),
    double=st.booleans(),
    spread=st.floats(0, 4),
    divided=st.booleans(),
)
def test_no_approximate_score_is_further_off_than_its_bound(seed, d, fast, double, spread, divided):
    random = np.random.default_rng(seed)
    A, B = (
        (random.normal(size=(size, d)) + random.integers(0, 3)) * 10 ** random.uniform(0, spread)
        for size in (40, 50)
    )
    A *= 10 ** random.uniform(-spread, 0, size=(40, 1))
    if not double:
        A, B = A.astype(np.float32), B.astype(np.float32)
    divisors = tuple(random.uniform(0.1, 3, size).astype(A.dtype) for size in (40, 50))
    scores = Scores(A, B, divisors if divided else None)
    rough = search._rough(scores, fast)
    found = rough.scores.tile(slice(None), slice(None))
    found = found.double().numpy() if fast else found.astype(float)
    exact = A.astype(float) @ B.astype(float).T
    if divided:
        exact /= divisors[0].astype(float)[:, None] + divisors[1]
    off = np.abs(found - exact) - rough.rounding * np.abs(found)
    assert (off <= rough.errors[0][:, None]).all()
    assert (off <= rough.errors[1]).all()


def test_few_candidates_are_left_and_no_row_is_done_twice(first, monkeypatch):
    monkeypatch.setattr(search, "_in_full", None)
    asked = []
    of_pairs = Scores.of_pairs
    monkeypatch.setattr(
        Scores,
        "of_pairs",
        lambda self, *pairs: asked.append(len(pairs[0])) or of_pairs(self, *pairs),
    )
    A, B = draw(0, d=300)
    top_k_of_both(Scores(A, B), 5)
    most = 1.01 if first == "float32" else 2
    assert 5 * 800 <= sum(asked) < most * 5 * 800


def test_rounds_fewer_bits_away_if_most_rows_have_too_many_candidates(first, monkeypatch):
    A, B = draw(0)
    A[:, 0] = B[:, 0] = 30  # in bfloat16 all are the same
    A, B = units(A), units(B)
    tried = []
    rough = search._rough
    monkeypatch.setattr(search, "_rough", lambda *given: tried.append(given[1]) or rough(*given))
    product = (A.astype(float) @ B.astype(float).T).astype(np.float32)
    check(top_k_of_both(Scores(A, B), 5), product, 5)
    assert tried == ([False] if first == "float32" else [True, False])


@pytest.mark.parametrize("similarity", ["csls", "margin", "cosine"])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_translations_equal_those_of_the_whole_matrix(similarity, k, first):
    A, B = (side + np.float32(0.3) for side in draw(3))
    a, b = (
        side.astype(float) / np.linalg.norm(side.astype(float), axis=1)[:, None] for side in (A, B)
    )
    whole = a @ b.T
    r_x, r_y = (np.sort(side, axis=1)[:, -k:].mean(axis=1) for side in (whole, whole.T))
    if similarity == "csls":
        whole = 2 * whole - r_x[:, None] - r_y
    elif similarity == "margin":
        whole = 2 * whole / (r_x[:, None] + r_y)
    found = translate(A, B, 3, similarity, k)
    expected = plain(whole, 3)
    np.testing.assert_array_equal(found.rows, expected[1])
    np.testing.assert_allclose(found.scores, expected[0], atol=1e-6)


def test_a_torch_device_finds_the_same(monkeypatch):
    A, B = draw(0)
    found = top_k_of_both(Scores(torch.tensor(A), torch.tensor(B)), 5)
    for (_, columns), (_, expected) in zip(found, top_k_of_both(Scores(A, B), 5), strict=True):
        np.testing.assert_array_equal(columns, expected)
