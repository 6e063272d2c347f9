import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.tables import NLI_LABELS, read_dictionary, read_lexicon, read_nli, read_topics
from xling.errors import XlingError

FIELDS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: text.strip() and not text.startswith("\ufeff"))
)
WEIGHTS = st.floats(min_value=1e-300, allow_infinity=False)


def written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "rows.tsv"
    lines = ["\t".join(map(str, row)) for row in rows]
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return path


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS, WEIGHTS) | st.tuples(FIELDS, FIELDS)))
def test_dictionary_round_trip(tmp_path_factory, rows):
    # White space around words is not part of them.
    expected = [(row[0].strip(), row[1].strip(), *(row[2:] or (1.0,))) for row in rows]
    assert list(read_dictionary(written(tmp_path_factory, rows))) == expected


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS, st.sampled_from(NLI_LABELS))))
def test_nli_round_trip(tmp_path_factory, rows):
    assert list(read_nli(written(tmp_path_factory, rows))) == rows


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), unique_by=lambda row: row[0].strip()))
def test_topics_round_trip(tmp_path_factory, rows):
    expected = [(identifier.strip(), label.strip(), text) for identifier, label, text in rows]
    assert list(read_topics(written(tmp_path_factory, rows))) == expected


@pytest.mark.parametrize(
    ("reader", "line", "message"),
    [
        (read_dictionary, "cat chat", "found 1 column in 'cat chat', expected source TAB target"),
        (read_dictionary, "cat chat", "by a tab, not by spaces"),
        (read_dictionary, "", "found 1 column in ''"),
        (read_dictionary, "a\tb\t1\tx", "found 4 columns"),
        (read_dictionary, "cat\t", "the target is empty"),
        (read_dictionary, " \tchat", "the source is empty"),
        (read_dictionary, "cat\tchat\tmuch", "found weight 'much', expected a number above 0"),
        (read_dictionary, "cat\tchat\t-1", "found weight '-1'"),
        (read_dictionary, "cat\tchat\tnan", "found weight 'nan'"),
        (read_dictionary, "cat\tchat\tinf", "found weight 'inf'"),
        (read_nli, "A.\tB.", "found 2 columns .* expected premise TAB hypothesis TAB label"),
        (read_nli, "A.\t\tneutral", "the hypothesis is empty"),
        (read_nli, "A.\tB.\tcontradictory", "found label 'contradictory', expected entailment"),
        (read_nli, "A.\tB.\tNeutral", "found label 'Neutral'"),
        (read_topics, "7\tsports", "found 2 columns .* expected id TAB label TAB text"),
        (read_topics, "7\t\tA match.", "the label is empty"),
        (read_topics, "1\tsports\tagain", r"found id '1' again \(first on line 1\)"),
    ],
)
def test_fault_names_file_line_found_and_expected(write, reader, line, message):
    first = {read_dictionary: "a\tb", read_nli: "A.\tB.\tneutral", read_topics: "1\tx\ty"}[reader]
    last = {read_dictionary: "c\td", read_nli: "C.\tD.\tneutral", read_topics: "2\tx\ty"}[reader]
    path = write("rows.tsv", f"{first}\n{line}\n{last}\n")
    with pytest.raises(XlingError, match=message) as error:
        list(reader(path))
    assert str(error.value).startswith(f"{path}, line 2: ")
    problems = []
    assert len(list(reader(path, problems.append))) == 2
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat\tchat\ncat\tmatou\t0.5\n", [("cat", "chat"), ("cat", "matou")]),
        ("cat chat\n\ndog chien\n", [("cat", "chat"), ("dog", "chien")]),
        ("cat\tchat\r\nice cream\tglace\n", [("cat", "chat"), ("ice cream", "glace")]),
    ],
)
def test_lexicons_in_formats_of_layout_xling_eval_and_muse(tmp_path, text, expected):
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
def test_other_lines_of_a_lexicon_are_refused(tmp_path, text, message):
    path = tmp_path / "en-fr.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(XlingError, match=message):
        read_lexicon(path)


def test_real_dictionaries_can_be_read(real_data):
    for path in sorted((real_data / "dictionaries").iterdir()):
        assert len(read_lexicon(path)) > 1000
