import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures.word_links import alignment_error_rate, symmetrize

points = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


def grow_diag_final_and(a, b):
    """The procedure as statistical machine translation's manuals give it, on 0/1 matrices."""
    A, B = np.zeros((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
    for matrix, links in ((A, a), (B, b)):
        for i, j in links:
            matrix[i, j] = True
    union, links = A | B, A & B
    neighbours = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    while True:
        before = links.copy()
        for i, j in np.argwhere(before):
            for down, right in neighbours:
                x, y = i + down, j + right
                if not (0 <= x < 5 and 0 <= y < 5) or not union[x, y]:
                    continue
                if not links[x].any() or not links[:, y].any():
                    links[x, y] = True
        if (links == before).all():
            break
    for matrix in (A, B):
        for x, y in np.argwhere(matrix):
            if not links[x].any() and not links[:, y].any():
                links[x, y] = True
    return np.argwhere(links).tolist()


@settings(max_examples=150, deadline=None)
@given(points, points)
def test_symmetrised_links_follow_the_procedure_and_lie_between_the_two(a, b):
    one, other = [sorted(a)], [sorted(b)]
    (both,) = symmetrize(one, other, "intersection")
    (either,) = symmetrize(one, other, "union")
    (grown,) = symmetrize(one, other, "grow-diag-final-and")
    assert both.tolist() == [list(link) for link in sorted(a & b)]
    assert either.tolist() == [list(link) for link in sorted(a | b)]
    assert grown.tolist() == grow_diag_final_and(a, b)
    assert {*map(tuple, both.tolist())} <= {*map(tuple, grown.tolist())}
    assert {*map(tuple, grown.tolist())} <= {*map(tuple, either.tolist())}


@settings(max_examples=60, deadline=None)
@given(points, points, points)
def test_error_rate_follows_the_definition(a, s, p):
    expected = 1 - (len(a & s) + len(a & (p | s))) / max(len(a) + len(s), 1) if a or s else 0
    assert alignment_error_rate([sorted(a)], [sorted(s)], [sorted(p)]) == pytest.approx(expected)
    assert alignment_error_rate([sorted(s)], [sorted(s)], [sorted(p)]) == 0


def test_bad_input_is_refused():
    with pytest.raises(XlingError, match="1 pairs aligned, 2 pairs of sure"):
        alignment_error_rate([[]], [[], []])
    with pytest.raises(XlingError, match="method 'grow'"):
        symmetrize([[]], [[]], "grow")
