import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures import embedding_aligner
from xling.measures.embedding_aligner import align_embeddings


def by_loops(X, Y, rounds, discount):
    """Algorithm 1 of the paper for one pair, a cell at a time."""
    if not len(X) or not len(Y):
        return []
    S = np.zeros((len(X), len(Y)))
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            if x.any() and y.any():
                S[i, j] = (1 + x @ y / np.sqrt((x @ x) * (y @ y))) / 2
    A = np.zeros(S.shape, dtype=bool)
    for _ in range(rounds):
        M = np.ones(S.shape)
        for i in range(len(X)):
            for j in range(len(Y)):
                linked = int(A[i].any()) + int(A[:, j].any())
                M[i, j] = {0: 1.0, 1: discount, 2: 0.0}[linked]
        P = S * M
        new = A.copy()
        for i in range(len(X)):
            for j in range(len(Y)):
                if P[i, j] > 0 and np.argmax(P[i]) == j and np.argmax(P[:, j]) == i:
                    new[i, j] = True
        A = new
    return np.argwhere(A).tolist()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rounds=st.integers(1, 4),
    discount=st.sampled_from([0.5, 0.9, 1.0]),
    cells=st.sampled_from([1, 30, 1 << 20]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_links_are_those_of_the_paper_for_each_pair(seed, rounds, discount, cells, dtype):
    random = np.random.default_rng(seed)
    m, n = random.integers(0, 7, size=(2, 9))
    m[0], n[1] = 3, 2
    starts = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in (m, n)]
    X, Y = (random.normal(size=(max(s[-1], 1), 4)).astype(dtype) for s in starts)
    X[0] = 0
    before = embedding_aligner._CELLS
    embedding_aligner._CELLS = cells
    try:
        found = align_embeddings(X, starts[0], Y, starts[1], "itermax", rounds, discount)
        once = align_embeddings(X, starts[0], Y, starts[1])
    finally:
        embedding_aligner._CELLS = before
    for pair in range(9):
        x, y = X[starts[0][pair] : starts[0][pair + 1]], Y[starts[1][pair] : starts[1][pair + 1]]
        assert found[pair].tolist() == by_loops(x, y, rounds, discount)
        assert once[pair].tolist() == by_loops(x, y, 1, 0.9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Y": np.eye(2)}, "X has width 3 and Y 2"),
        ({"x_starts": [0, 2]}, "x_starts: expected numbers from 0 to 3"),
        ({"x_starts": [0, 3, 2, 3], "y_starts": [0, 1, 2, 3]}, "do not decrease"),
        ({"y_starts": [0, 1, 3]}, "1 source lines and 2 target lines"),
        ({"X": np.full((3, 3), np.nan)}, "NaN"),
        ({"method": "match"}, "method 'match'"),
        ({"discount": 0.0}, "discount 0.0"),
    ],
)
def test_bad_input_is_refused(changes, message):
    good = {"X": np.eye(3), "x_starts": [0, 3], "Y": np.eye(3), "y_starts": [0, 3]}
    with pytest.raises(XlingError, match=message):
        align_embeddings(**{**good, **changes})
