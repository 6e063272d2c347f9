import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.sketch import DistinctLines, line_keys


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(st.text(st.sampled_from("ab é語\t"), max_size=4)))
def test_keys_are_equal_where_lines_are_but_for_spaces(lines):
    keys = line_keys(lines).tolist()
    squeezed = [line.replace(" ", "") for line in lines]
    for i in range(len(lines)):
        for j in range(len(lines)):
            assert (keys[i] == keys[j]) == (squeezed[i] == squeezed[j])


@settings(max_examples=30, deadline=None)
@given(
    one=st.lists(st.integers(0, 40), max_size=60),
    other=st.lists(st.integers(0, 40), max_size=60),
    piece=st.integers(1, 20),
)
def test_exact_up_to_the_limit(one, other, piece):
    sets = []
    for numbers in (one, other):
        distinct = DistinctLines(limit=64)
        lines = [f"line {number}" for number in numbers]
        for start in range(0, len(lines), piece):
            distinct.add(line_keys(lines[start : start + piece]))
        assert distinct.count() == len(set(numbers))
        assert distinct.level == 0
        sets.append(distinct)
    assert sets[0].common(sets[1]) == len(set(one) & set(other))


@pytest.mark.parametrize("repeats", [1, 3])
def test_estimates_beyond_the_limit_in_bounded_memory(repeats):
    limit = 4096
    one, other = DistinctLines(limit), DistinctLines(limit)
    keys = line_keys([f"line {number}" for number in range(100_000)])
    for start in range(0, len(keys), 1000):
        for _ in range(repeats):
            one.add(keys[start : start + 1000])
        assert len(one.keys) <= limit
    other.add(keys[60_000:])
    # 1.2 / sqrt(4096) is a standard error of 2 %; the data are fixed, so this cannot flicker.
    assert one.count() == pytest.approx(100_000, rel=0.05)
    assert one.common(other) == pytest.approx(40_000, rel=0.08)
    assert one.level > 0
    assert np.all(np.diff(one.keys.astype(object)) > 0)
