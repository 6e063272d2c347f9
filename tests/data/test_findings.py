import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.findings import Statistics, named_shares

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")))
LETTERS = {"LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "HEBREW": "Hebr", "CJK": "Hani"}


@settings(max_examples=80, deadline=None)
@given(lines=LINES, cut=st.integers(0, 5))
def test_figures_are_those_of_plain_python(lines, cut):
    statistics = Statistics()
    for piece in (lines[:cut], lines[cut:]):
        statistics.add(piece)
    row = statistics.row("text", "wiki", "en")
    assert row.lines == len(lines)
    assert row.words == sum(len(line.split()) for line in lines)
    assert row.characters == sum(map(len, lines))
    filled = [line.replace(" ", "") for line in lines if line.replace(" ", "")]
    assert statistics.blank == len(lines) - len(filled)
    assert row.duplicates == len(filled) - len(set(filled))
    assert not row.scripts or sum(row.scripts.values()) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("aZéſкЖωΣאש語文1 ,.!\t")))
def test_scripts_agree_with_the_names_of_characters(text):
    counts = Counter(
        LETTERS[unicodedata.name(char).split()[0].split("-")[0]]
        for char in text
        if unicodedata.category(char).startswith("L")
    )
    statistics = Statistics()
    statistics.add([text])
    shares = statistics.row("text", "wiki", "en").scripts
    if counts:
        assert shares == pytest.approx({key: n / counts.total() for key, n in counts.items()})
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    else:
        assert shares == ({"Zyyy": 1.0} if text else {})


def test_script_that_is_not_listed():
    statistics = Statistics()
    statistics.add(["𐎀𐎁a"])  # Ugaritic
    assert statistics.row("text", "wiki", "uga").scripts == pytest.approx(
        {"Zzzz": 2 / 3, "Latn": 1 / 3}
    )


def test_named_shares_leave_out_the_smallest():
    shares = {"Latn": 0.904, "Cyrl": 0.05, "Grek": 0.03, "Hani": 0.012, "Thai": 0.004}
    assert named_shares(shares) == "Latn 90 %, Cyrl 5 %, Grek 3 %"
    assert named_shares({"Latn": 0.996, "Thai": 0.004}) == "Latn 100 %"
