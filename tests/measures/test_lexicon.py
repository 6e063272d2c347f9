import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.measures.lexicon import find_pairs, identical_words, read_lexicon

words = st.sampled_from(["a", "b", "c", "d", "1", "2.5"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat\tchat\ncat\tmatou\t0.5\n", [("cat", "chat"), ("cat", "matou")]),
        ("cat chat\n\ndog chien\n", [("cat", "chat"), ("dog", "chien")]),
        ("cat\tchat\r\nice cream\tglace\n", [("cat", "chat"), ("ice cream", "glace")]),
    ],
)
def test_formats_of_layout_xling_eval_and_muse(tmp_path, text, expected):
    path = tmp_path / "en-fr.txt"
    path.write_text(text, encoding="utf-8")
    assert read_lexicon(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat chat\nice cream glace\n", r"line 2: found 'ice cream glace'"),
        ("cat\t\n", "line 1"),
        ("cat\n", "line 1"),
        ("\n", "no entry"),
    ],
)
def test_other_lines_are_refused(tmp_path, text, message):
    path = tmp_path / "en-fr.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(XlingError, match=message):
        read_lexicon(path)


def test_real_dictionaries_can_be_read(real_data):
    for path in sorted((real_data / "dictionaries").iterdir()):
        assert len(read_lexicon(path)) > 1000


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
