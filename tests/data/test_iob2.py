import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.iob2 import read_iob2, stray_insides
from xling.errors import XlingError

TOKENS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: not text.startswith("\ufeff"))
)
TAGS = st.sampled_from(["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])
SENTENCES = st.lists(st.lists(st.tuples(TOKENS, TAGS), min_size=1, max_size=8), max_size=6)


@settings(max_examples=80, deadline=None)
@given(sentences=SENTENCES, prefix=st.sampled_from(["", "zh-min-nan:"]), end=st.booleans())
def test_round_trip(tmp_path_factory, sentences, prefix, end):
    # A token of one letter keeps made-up tokens from sharing a prefix by chance.
    sentences = [[("x", "O")], *sentences]
    blocks = ["\n".join(f"{prefix}{token}\t{tag}" for token, tag in s) for s in sentences]
    path = tmp_path_factory.mktemp("ner") / "train.iob2"
    path.write_bytes(("\n\n".join(blocks) + ("\n\n" if end else "")).encode())
    found = [list(zip(s.tokens, s.tags, strict=True)) for s in read_iob2(path)]
    assert found == sentences


def test_prefix_stays_unless_every_token_has_it(write):
    path = write("a.iob2", "en:Paris\tB-LOC\nen:is\tO\n\nhttp:\tO\n")
    assert [s.tokens for s in read_iob2(path)] == [["en:Paris", "en:is"], ["http:"]]
    path = write("b.iob2", "en:Paris\tB-LOC\n\nen::\tO\n")
    assert [s.tokens for s in read_iob2(path)] == [["Paris"], [":"]]


def test_first_lines_of_sentences(write):
    path = write("a.iob2", "\na\tO\nb\tO\n\n\nc\tO\n")
    assert [s.line for s in read_iob2(path)] == [2, 6]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Paris B-LOC", "found 1 column in 'Paris B-LOC', expected token TAB tag"),
        ("Paris\tNNP\tB-LOC", "found 3 columns"),
        (" ", "found 1 column"),
        ("\tO", "the token is empty"),
        ("Paris\tLOC", "found tag 'LOC', expected O, B-X or I-X"),
        ("Paris\tB-", "found tag 'B-'"),
        ("Paris\tE-LOC", "found tag 'E-LOC'"),
        ("Paris\to", "found tag 'o'"),
    ],
)
def test_fault_names_file_and_line(write, line, message):
    path = write("train.iob2", f"a\tO\n\nin\tO\n{line}\nnow\tO\n\nb\tO\n")
    with pytest.raises(XlingError, match=message) as error:
        list(read_iob2(path))
    assert str(error.value).startswith(f"{path}, line 4: ")
    problems = []
    assert [s.tokens for s in read_iob2(path, problems.append)] == [["a"], ["b"]]
    assert len(problems) == 1


def brute_force_strays(tags):
    """A span's type is open or not: the definition, one tag after the other."""
    open_type, strays = None, []
    for position, tag in enumerate(tags):
        if tag == "O":
            open_type = None
        else:
            if tag[0] == "I" and tag[2:] != open_type:
                strays.append(position)
            open_type = tag[2:]
    return strays


@given(tags=st.lists(TAGS))
def test_stray_insides(tags):
    assert stray_insides(tags) == brute_force_strays(tags)
