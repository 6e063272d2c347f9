import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures.lexicon import find_pairs, identical_words

words = st.sampled_from(["a", "b", "c", "d", "1", "2.5"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(words, words), max_size=12),
    st.lists(words, unique=True, max_size=5),
    st.lists(words, unique=True, max_size=5),
)
def test_pairs_and_coverage_by_loops(entries, source, target):
    expected = sorted(
        (i, j) for i, a in enumerate(source) for j, b in enumerate(target) if (a, b) in entries
    )
    if not expected:
        with pytest.raises(XlingError, match="the dictionary: none of its"):
            find_pairs(entries, source, target)
        return
    found = find_pairs(entries, source, target)
    assert found.pairs.tolist() == [list(pair) for pair in expected]
    covered = [a for a in {a for a, _ in entries} if any(source[i] == a for i, _ in expected)]
    assert found.coverage == pytest.approx(len(covered) / len({a for a, _ in entries}))


@given(st.lists(words, unique=True, max_size=6), st.lists(words, unique=True, max_size=6))
def test_identical_words_and_numerals(source, target):
    expected = [[i, target.index(a)] for i, a in enumerate(source) if a in target]
    assert identical_words(source, target).tolist() == expected
    digits = [pair for pair in expected if source[pair[0]] in ("1", "2.5")]
    assert identical_words(source, target, numerals_only=True).tolist() == digits
    assert identical_words(source, target).dtype == np.int64
