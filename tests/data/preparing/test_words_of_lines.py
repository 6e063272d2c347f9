"""Words, their runs and hashes, against plain Python."""

import string
import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.lines import UNSPACED
from xling.data.preparing.filters import repeated_shares, thresholds, top_shares
from xling.data.preparing.tokens import LineWords

LINES = st.lists(
    st.text(alphabet="ab Cé,.'中あ\u0301\u2028ﬁ_ß½＝\u0338´ｶﾞ\u3099가๏", max_size=30),
    min_size=1,
    max_size=6,
)


UNSPACED_LETTERS = "中あカガ"


def plain_words(line: str) -> list[str]:
    text = unicodedata.normalize("NFKC", line).casefold()
    text = "".join(f" {sign} " if sign in UNSPACED_LETTERS else sign for sign in text)
    kept = [
        sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in text
    ]
    return "".join(kept).split()


@given(LINES)
@settings(deadline=None)  # pandas is imported by the first
def test_words_are_those_of_each_line_by_itself(lines):
    words = LineWords.of(lines)
    assert words.counts.tolist() == [len(plain_words(line)) for line in lines]
    running = [words.types[code] for code in words.codes]
    assert running == [word for line in lines for word in plain_words(line)]
    assert words.lengths.tolist() == [*map(len, words.types)]
    assert words.unspaced.tolist() == [word in UNSPACED_LETTERS for word in words.types]


@given(LINES, LINES)
@settings(deadline=None)  # pandas is imported by the first
def test_letters_of_lines_have_one_hash_where_they_are_the_same(lines, others):
    hashes = [*LineWords.of(lines).letters.tolist(), *LineWords.of(others).letters.tolist()]
    letters = ["".join(plain_words(line)) for line in [*lines, *others]]
    assert len({*zip(letters, hashes, strict=True)}) == len({*letters}) == len({*hashes})


@pytest.mark.slow
def test_every_character_is_read_as_by_regular_expressions():
    signs = [chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000]
    lines = [f"a{sign}\u0301b {sign}" for sign in signs if sign != "\n"]
    compatible = [line for line in lines if not unicodedata.is_normalized("NFKC", line)]
    few = [compatible[start : start + 20] for start in range(0, len(compatible), 20)]
    for batch in (lines, *few):
        words = LineWords.of(batch)
        assert [words.types[code] for code in words.codes] == [
            word
            for line in batch
            for word in regex.sub(
                f"[{UNSPACED}]",
                r" \g<0> ",
                regex.sub(r"[\W_]", " ", unicodedata.normalize("NFKC", line).casefold()),
            ).split()
        ]


@given(LINES, st.integers(1, 4))
@settings(deadline=None)  # pandas is imported by the first
def test_runs_are_equal_where_their_words_are(lines, length):
    words = LineWords.of(lines)
    keys, places = words.grams(length)
    expected = [
        (number, tuple(found[start : start + length]))
        for number, found in enumerate(map(plain_words, lines))
        for start in range(len(found) - length + 1)
    ]
    assert words.lines_of(places).tolist() == [number for number, _ in expected]
    runs = [run for _, run in expected]
    assert len({*zip(keys.tolist(), runs, strict=True)}) == len({*runs}) == len({*keys.tolist()})


@given(LINES, st.integers(0, 63))
@settings(deadline=None)  # pandas is imported by the first
def test_some_lines_have_the_words_they_had(lines, chosen):
    words = LineWords.of(lines)
    kept = np.array([bool(chosen >> place & 1) for place in range(len(lines))])
    some = words.only(kept)
    alone = LineWords.of([line for line, keep in zip(lines, kept, strict=True) if keep])
    assert some.counts.tolist() == alone.counts.tolist()
    assert some.hashes.tolist() == alone.hashes.tolist()


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=20), min_size=1, max_size=3), st.integers(2, 5)
)
@settings(deadline=None)  # pandas is imported by the first
def test_shares_of_repetition_are_those_of_loops(numbers, size):
    lines = [["x" * (1 + 2 * number) for number in line] for line in numbers]
    words = LineWords.of([" ".join(line) for line in lines])
    top, repeated = top_shares(words, size), repeated_shares(words, size)
    for place, line in enumerate(lines):
        whole = max(1, len("".join(line)))
        runs = [tuple(line[i : i + size]) for i in range(len(line) - size + 1)]
        taken = [runs.count(run) * len("".join(run)) for run in runs if runs.count(run) > 1]
        covered = {i + k for i, run in enumerate(runs) if run in runs[:i] for k in range(size)}
        assert top[place] == pytest.approx(max(taken, default=0) / whole)
        assert repeated[place] == pytest.approx(sum(len(line[i]) for i in covered) / whole)


def test_every_language_of_the_preset_has_all_thresholds():
    assert thresholds("fra_Latn", "fineweb-2")["top"] == [0.161, 0.149, 0.134]
    assert thresholds("fr", "gopher") == thresholds("en", "fineweb-2")
    for language in ("ar", "bg", "de", "el", "es", "fr", "hi", "ja", "ru", "sw", "th", "zh"):
        found = thresholds(language, "fineweb-2")
        assert {*found} == {"top", "repeated", "word", "letters"}
        assert (len(found["top"]), len(found["repeated"])) == (3, 6)


def test_punctuation_is_no_part_of_words():
    marks = "".join(set(string.punctuation) - {"\n"})
    assert LineWords.of([marks]).types == []
    assert LineWords.of(["A-b  c’d"]).types == ["a", "b", "c", "d"]
