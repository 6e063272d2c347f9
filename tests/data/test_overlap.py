from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.overlap import Sentences
from xling.data.sketch import line_keys

WORD = "a sentence of enough letters, number "


@settings(max_examples=40, deadline=None)
@given(
    text=st.lists(st.integers(0, 9), max_size=12),
    tests=st.dictionaries(st.sampled_from("xyz"), st.sets(st.integers(0, 9)), max_size=3),
    first=st.integers(1, 100),
)
def test_matches_are_those_of_brute_force(text, tests, first):
    sentences = Sentences()
    for name, numbers in tests.items():
        sentences.add("en", Path(name), [f"{WORD}{number}" for number in sorted(numbers)])
    sentences.add("fr", Path("other"), [f"{WORD}{number}" for number in range(10)])
    watch = sentences.watch("en")
    lines = [f"{WORD}{number}" for number in text]
    watch.look(line_keys(lines), first, lines)
    found = {m.path.name: (m.count, m.line, m.example, m.exact) for m in watch.matches()}
    expected = {}
    for name, numbers in tests.items():
        places = [place for place, number in enumerate(text) if number in numbers]
        if places:
            expected[name] = (len(places), first + places[0], lines[places[0]], True)
    assert found == expected


def test_short_lines_and_spaces():
    sentences = Sentences()
    sentences.add("zh", Path("pud"), ["对。", "今天 的 天气 真 好 我们 去 公园"])
    watch = sentences.watch("zh")
    lines = ["对。", "今天的天气真好我们去公园"]
    watch.look(line_keys(lines), 1, lines)
    assert [(match.line, match.counted()) for match in watch.matches()] == [(2, "1 line")]


def test_language_without_evaluation_files():
    watch = Sentences().watch("en")
    watch.look(line_keys(["anything"]), 1, ["anything"])
    assert watch.matches() == []
