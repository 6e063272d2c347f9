import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.tables import NLI_LABELS, read_dictionary, read_nli, read_topics
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
