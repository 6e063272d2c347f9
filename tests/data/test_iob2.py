import shlex
import subprocess
import unicodedata
import warnings

import pytest
import seqeval.scheme
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.iob2 import read_gold, read_iob2, scheme_of, stray_insides, to_iob2
from xling.errors import XlingError
from xling.transfer.spans import spans

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
        ("Paris NNP B-NP I-LOC", "if the last of 4 columns is the tag: awk 'NF {"),
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


# Spans of one sentence: lengths of spans and of what lies outside, in turn.
PIECES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(["A", "B-C"])))


def written_in(scheme, pieces):
    """Tags of spans by the definitions of the schemes."""
    tags = []
    for gap, length, kind in pieces:
        tags += ["O"] * gap
        marks = {
            "IOB2": "B" + "I" * (length - 1),
            "IOB1": "I" * length,
            "BIOES": "S" if length == 1 else "B" + "I" * (length - 2) + "E",
            "BILOU": "U" if length == 1 else "B" + "I" * (length - 2) + "L",
            "BMES": "S" if length == 1 else "B" + "M" * (length - 2) + "E",
        }[scheme]
        if scheme == "IOB1" and tags and tags[-1][2:] == kind:
            marks = "B" + marks[1:]
        tags += [f"{mark}-{kind}" for mark in marks]
    return tags


def gold(path, sentences):
    path.write_text("".join("".join(f"w\t{t}\n" for t in tags) + "\n" for tags in sentences))
    return path


def read(path):
    """Tags as gold, and what was warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tags = [sentence.tags for sentence in read_gold(path)]
    return tags, [str(warning.message) for warning in caught]


@settings(max_examples=100, deadline=None)
@given(
    scheme=st.sampled_from(["IOB1", "IOB2", "BIOES", "BILOU", "BMES"]),
    sentences=st.lists(PIECES.filter(bool), min_size=1, max_size=4),
)
def test_every_scheme_is_found_out_and_means_the_same(tmp_path_factory, scheme, sentences):
    path = tmp_path_factory.mktemp("ner") / "train.iob2"
    right = [written_in("IOB2", pieces) for pieces in sentences]
    found, warned = read(gold(path, [written_in(scheme, pieces) for pieces in sentences]))
    assert found == right
    name = scheme_of(path).name
    if any(tag[0] in "IM" for tags in found for tag in tags) or scheme in ("IOB1", "BILOU"):
        # Where no span is longer than two, BIOES and BMES are one.
        assert name == scheme or {name, scheme} == {"BIOES", "BMES"}
    assert bool(warned) == (name != "IOB2") == (scheme != "IOB2")
    assert all(f"{path}, line " in message and name in message for message in warned)


@pytest.mark.parametrize(
    ("scheme", "judge"),
    [("IOB1", seqeval.scheme.IOB1), ("BIOES", seqeval.scheme.IOBES), ("BILOU", None)],
)
@settings(max_examples=60, deadline=None)
@given(pieces=PIECES)
def test_conversion_keeps_the_entities_that_seqeval_reads(scheme, judge, pieces):
    tags = written_in(scheme, pieces)
    judge = judge or seqeval.scheme.BILOU
    entities = [entity.to_tuple()[1:] for entity in seqeval.scheme.Tokens(tags, judge).entities]
    found = {(start, end, kind) for start, end, kind in spans(to_iob2(tags, scheme))}
    assert found == {(start, end, kind) for kind, start, end in entities}


def test_iob1_is_brought_to_iob2_with_the_place_that_shows_it(write):
    path = write("a.iob2", "in\tO\n\nMira\tI-PER\nNova\tI-LOC\nBrek\tI-LOC\nOlan\tB-LOC\n")
    tags, (warning,) = read(path)
    assert tags == [["O"], ["B-PER", "B-LOC", "I-LOC", "B-LOC"]]
    assert warning.startswith(f"{path}, line 3: found tag I-PER after the sentence's start: ")
    assert "IOB1" in warning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tB-X\n\nb\tO\nc\tI-X\n", "line 4: found tag I-X after O, expected B-X or I-X before"),
        ("a\tB-X\nb\tI-Y\n", "line 2: found tag I-Y after B-X"),
        ("a\tS-X\nb\tI-X\n", "line 2: found tag I-X after S-X, which breaks BIOES"),
        ("a\tB-X\nb\tE-Y\n", "line 2: found tag E-Y after B-X, which breaks BIOES"),
        ("a\tB-X\nb\tS-X\n", "line 2: found tag S-X after B-X, which breaks BIOES"),
        ("a\tU-X\nb\tB-X\n", "line 2: found the sentence's end after B-X, which breaks BILOU"),
        ("a\tU-X\nb\tE-X\n", "line 1: found tag 'U-X', expected O, B-X or I-X"),
        ("a\tI-X\nb\tX-X\n", "line 2: found tag 'X-X'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*converted to IOB2")
def test_gold_that_keeps_no_scheme_is_refused(write, content, message):
    path = write("train.iob2", content)
    with pytest.raises(XlingError, match=f"^{path}, {message}"):
        list(read_gold(path))
    problems = []
    list(read_gold(path, problems.append))
    assert problems


def test_only_the_languages_own_prefix_is_one(write):
    path = write("a.iob2", "en:Paris\tB-LOC\nen:is\tO\n")
    for codes in ((), ("en",), ("eng",), ("en-GB",), ("english", "en")):
        assert [s.tokens for s in read_iob2(path, codes=codes)] == [["Paris", "is"]]
    with pytest.warns(UserWarning, match="every token begins with 'en:', which is no code of fr"):
        assert [s.tokens for s in read_iob2(path, codes=("fr",))] == [["en:Paris", "en:is"]]
    some = write("c.iob2", "en:Paris\tB-LOC\nen:is\tO\n\nhttp\tO\n")
    with pytest.warns(UserWarning, match="2 of 3 tokens begin with 'en:', not all: it stays"):
        assert next(iter(read_iob2(some, codes=("en",)))).tokens == ["en:Paris", "en:is"]
    times = write("b.iob2", "10:30\tO\n\n10:45\tO\n")
    assert [s.tokens for s in read_iob2(times, codes=("en",))] == [["10:30"], ["10:45"]]


def test_the_advice_for_other_columns_makes_a_file_that_can_be_read(write, tmp_path):
    rows = "-DOCSTART- -X- -X- O\n\nU.N. NNP I-NP I-ORG\nheads VBZ I-VP O\n\nPeter NNP I-NP I-PER\n"
    path = write("conll.txt", rows)
    with pytest.raises(XlingError) as caught:
        list(read_iob2(path))
    command = str(caught.value).partition("is the tag: ")[2]
    done = subprocess.run([*shlex.split(command), path], capture_output=True, check=True)
    (tmp_path / "train.iob2").write_bytes(done.stdout)
    with pytest.warns(UserWarning, match="the file is in IOB1"):
        found = [(s.tokens, s.tags) for s in read_gold(tmp_path / "train.iob2")]
    assert found == [
        (["-DOCSTART-"], ["O"]),
        (["U.N.", "heads"], ["B-ORG", "O"]),
        (["Peter"], ["B-PER"]),
    ]
