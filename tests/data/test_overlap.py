from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data import overlap
from xling.data.overlap import DistinctLines, Sentences, line_keys

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
    found = {m.path.name: (m.count, m.line, m.example) for m in watch.matches()}
    expected = {}
    for name, numbers in tests.items():
        places = [place for place, number in enumerate(text) if number in numbers]
        if places:
            expected[name] = (len(places), first + places[0], lines[places[0]])
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
def test_distinct_lines_are_those_of_sets(one, other, piece):
    sets = []
    for numbers in (one, other):
        distinct = DistinctLines()
        lines = [f"line {number}" for number in numbers]
        for start in range(0, len(lines), piece):
            distinct.add(line_keys(lines[start : start + piece]))
        assert distinct.count() == len(set(numbers))
        sets.append(distinct)
    assert sets[0].common(sets[1]) == len(set(one) & set(other))


def test_hashes_are_merged_while_lines_are_added(monkeypatch):
    monkeypatch.setattr(overlap, "_SMALLEST_MERGE", 10)
    distinct = DistinctLines()
    keys = line_keys([f"line {number % 700}" for number in range(3000)])
    for start in range(0, len(keys), 7):
        distinct.add(keys[start : start + 7])
        assert distinct._waiting_count <= max(10, len(distinct._keys))
    assert distinct.keys.tolist() == sorted(set(keys.tolist()))
