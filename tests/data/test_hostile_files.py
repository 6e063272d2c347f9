"""Every reader of a data folder, given what no reader expects."""

import gzip
import os
import socket
from pathlib import Path

import pytest

from xling.alignment.vector_files import read_vectors
from xling.data.check import check
from xling.data.conllu import read_conllu
from xling.data.hub.spec import HubSpec
from xling.data.iob2 import read_gold, read_iob2
from xling.data.layout import DataFolder
from xling.data.lines import LONGEST_LINE, read_lines
from xling.data.parallel_words import read_links
from xling.data.tables import read_dictionary, read_lexicon, read_nli, read_topics
from xling.errors import XlingError
from xling.files import content_hash, read_json, read_yaml
from xling.settings import load_settings

READERS = {
    "lines": read_lines,
    "dictionary": read_dictionary,
    "lexicon": read_lexicon,
    "nli": read_nli,
    "topics": read_topics,
    "iob2": read_iob2,
    "gold": read_gold,
    "conllu": read_conllu,
    "links": read_links,
    "vectors": read_vectors,
}
WHOLE = {
    "hash": content_hash,
    "json": read_json,
    "yaml": read_yaml,
    "settings": lambda path: load_settings(path, HubSpec),
}


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    # Bound by a short name: the path of a socket may not be long.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


IRREGULAR = {
    "a folder": Path.mkdir,
    "a named pipe": a_pipe,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": a_socket,
}


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("reader", [*READERS, *WHOLE])
def test_only_regular_files_are_read(tmp_path, reader, kind):
    path = tmp_path / "x"
    IRREGULAR[kind](path)
    with pytest.raises(XlingError, match=f"^{path}: is {kind}, expected a regular file"):
        exhaust({**READERS, **WHOLE}[reader](path))


@pytest.mark.parametrize("reader", [*READERS, *WHOLE])
def test_what_is_not_there_is_not_found(tmp_path, reader):
    with pytest.raises(XlingError, match=f"^{tmp_path / 'x'}: not found"):
        exhaust({**READERS, **WHOLE}[reader](tmp_path / "x"))


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize(
    "place",
    [
        "text/wiki/sw.txt",
        "parallel/talks/en.txt",
        "ner/en/test.iob2",
        "dictionaries/en-fr.test.tsv",
    ],
)
def test_irregular_files_of_the_layout_are_problems(good, kind, place):
    path = good / place
    path.unlink(missing_ok=True)
    IRREGULAR[kind](path)
    assert f"is {kind}, expected a regular file" in problems(good)


def test_data_yaml_that_is_a_pipe(good):
    (good / "data.yaml").unlink()
    a_pipe(good / "data.yaml")
    with pytest.raises(XlingError, match=r"data.yaml: is a named pipe"):
        DataFolder(good)


def test_links_to_regular_files_are_read(tmp_path, write):
    path = write("a.txt", "one\n")
    (tmp_path / "b.txt").symlink_to(path)
    assert list(read_lines(tmp_path / "b.txt")) == ["one"]


@pytest.fixture(scope="module")
def endless(tmp_path_factory) -> dict[bool, Path]:
    """A line of 80 MiB, plain and packed."""
    folder = tmp_path_factory.mktemp("endless")
    paths = {False: folder / "x", True: folder / "x.gz"}
    with paths[False].open("wb") as plain, gzip.open(paths[True], "wb", 1) as packed:
        for _ in range(80):
            for file in (plain, packed):
                file.write(b"a" * (1 << 20))
    return paths


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("reader", READERS)
def test_a_line_without_end_is_refused_in_bounded_memory(endless, reader, zipped):
    import tracemalloc

    path = endless[zipped]
    tracemalloc.start()
    with pytest.raises(XlingError, match=f"^{path}, line 1: .*16 MiB"):
        exhaust(READERS[reader](path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 << 20


def test_the_longest_line_is_read_and_one_byte_more_is_not(write):
    longest = "a" * LONGEST_LINE
    assert list(read_lines(write("a.txt", f"b\n{longest}\nc\n"))) == ["b", longest, "c"]
    path = write("b.txt", f"b\n{longest}a\nc\n")
    with pytest.raises(XlingError, match=r"b.txt, line 2: a line of more than 16 MiB"):
        list(read_lines(path))
    found = []
    assert list(read_lines(path, found.append)) == ["b"]
    assert [problem.line for problem in found] == [2]


@pytest.mark.parametrize("reader", [read_iob2, read_gold, read_conllu])
def test_a_file_without_blank_lines_is_refused(write, reader):
    line = "1\ta\t_\tX\t_\t_\t0\troot\t_\t_\n" if reader is read_conllu else "a\tO\n"
    path = write("x", line * 100_001)
    with pytest.raises(XlingError, match=f"{path}, line 10000[01]: .* without a blank line"):
        exhaust(reader(path))


# What editors, spreadsheets and other systems make of files. Per reader: what it yields, or what
# its error says after the file and line.
LINES = {
    "dictionary": "cat\tchat\n",
    "lexicon": "cat\tchat\n",
    "nli": "A.\tB.\tneutral\n",
    "topics": "1\tsports\tA.\n",
    "iob2": "Paris\tB-LOC\n\n",
    "conllu": "1\ta\t_\tX\t_\t_\t0\troot\t_\t_\n\n",
}
HEADERS = {
    "dictionary": "source\ttarget\n",
    "lexicon": "source\ttarget\n",
    "nli": "premise\thypothesis\tlabel\n",
    "topics": "id\tlabel\ttext\n",
}


@pytest.mark.parametrize("reader", LINES)
def test_carriage_returns_alone_are_named(write, reader):
    path = write("x", "".join(LINES[reader].replace("\n", "\r") for _ in range(3)))
    with pytest.raises(XlingError, match=rf"^{path}, line 1: .*carriage returns \(0x0d\) without"):
        exhaust(READERS[reader](path))


@pytest.mark.parametrize("reader", LINES)
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\x93caf\xe9\x94\t", r"not valid UTF-8 \(byte 0x93 at column 1\).* CP1252"),
        (b"caf\xe9\t", r"not valid UTF-8 \(byte 0xe9 at column 4\).* LATIN1"),
        (gzip.compress(b"cat\tchat\n", mtime=0), "these are gzip data: name the file x.gz"),
        ("cat\tchat\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_other_encodings_are_named(write, reader, raw, message):
    path = write("x", raw)
    with pytest.raises(XlingError, match=f"^{path}, line 1: .*{message}"):
        exhaust(READERS[reader](path))


@pytest.mark.parametrize("reader", LINES)
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(write, reader):
    plain = exhaust(READERS[reader](write("a", LINES[reader])))
    raw = b"\xef\xbb\xbf" + LINES[reader].replace("\n", "\r\n").encode()
    assert exhaust(READERS[reader](write("b", raw))) == plain


@pytest.mark.parametrize("reader", HEADERS)
def test_a_header_is_no_row(write, reader):
    path = write("x", HEADERS[reader] + LINES[reader])
    with pytest.raises(XlingError, match=f"^{path}, line 1: .*header"):
        exhaust(READERS[reader](path))
    path = write("y", LINES[reader] + HEADERS[reader].replace("label", "neutral"))
    assert len(exhaust(READERS[reader](path))) == 2  # further down it is one


@pytest.mark.parametrize("reader", ["dictionary", "lexicon"])
def test_names_of_languages_over_a_dictionary(write, reader):
    path = write("en-fr.train.tsv", "en\tfr\ncat\tchat\n")
    with pytest.raises(XlingError, match=r"line 1: .*header"):
        exhaust(READERS[reader](path))


@pytest.mark.parametrize(
    ("reader", "line"),
    [
        ("dictionary", " cat \tchat\u00a0\n"),
        ("lexicon", " cat \tchat\u00a0\n"),
        ("nli", "A.\tB.\tneutral \n"),
        ("topics", "1 \tsports \tA.\n"),
    ],
)
def test_blanks_around_words_and_labels_are_no_part_of_them(write, reader, line):
    plain = exhaust(READERS[reader](write("a", LINES[reader])))
    assert exhaust(READERS[reader](write("b", line))) == plain


@pytest.mark.parametrize(
    ("reader", "line"),
    [
        ("dictionary", "cat\t\tchat\n"),
        ("lexicon", "cat\t\tchat\n"),
        ("nli", "A.\t\tB.\tneutral\n"),
        ("topics", "1\t\tsports\tA.\n"),
        ("iob2", "Paris\t\tB-LOC\n"),
        ("iob2", "Paris\tB-LOC \n"),
        ("conllu", "1\ta\t_\tX\t_\t_\t0\troot \t_\t_\n"),
        ("conllu", "1\ta\t_\tX \t_\t_\t0\troot\t_\t_\n"),
        ("conllu", "1\ta\t_\tX\t_\t_\t\t0\troot\t_\t_\n"),
    ],
)
def test_doubled_tabs_and_blanks_that_would_change_a_label_are_refused(write, reader, line):
    path = write("x", LINES[reader] + line)
    number = 1 + LINES[reader].count("\n")
    with pytest.raises(XlingError, match=f"^{path}, line {number}: "):
        exhaust(READERS[reader](path))


@pytest.mark.parametrize(
    ("place", "content", "warning"),
    [
        ("text/wiki/en.txt", "a\rb\rc\n", "2 carriage returns (0x0d) without a line feed"),
        ("parallel/talks/en.txt", "yes\rno\nmaybe\n", "1 carriage return "),
        ("topics/en/test.tsv", "2\tsports\tA\rB.\n", "1 carriage return "),
        ("text/wiki/en.txt", "a\ufeffb\n", "1 byte order mark (U+FEFF) inside"),
        ("dictionaries/en-fr.test.tsv", "\ufeffcat\tchat\ncat\t\ufeffchat\n", "1 byte order mark"),
        ("ner/en/test.iob2", "in\tO\n\ufeffin\tO\n", "1 byte order mark"),
        ("ud/en/test.conllu", LINES["conllu"].replace("\ta\t", "\ta\0\t"), "1 zero byte"),
        ("dictionaries/en-fr.test.tsv", '"cat"\t"chat"\n', "1 of 1 row with quotes around a cell"),
        ("nli/en/test.tsv", '"A ""b""."\tC\tneutral\n', "1 of 1 row with quotes around a cell"),
    ],
)
def test_check_warns_of_what_works_but_is_odd(good, write, place, content, warning):
    write(place, content)
    found = check(good)
    assert found.problems == []
    assert any(str(note).startswith(f"{good / place}: {warning}") for note in found.warnings)


def test_check_has_nothing_to_say_of_ordinary_quotes_and_line_ends(good, write):
    write("topics/en/test.tsv", '2\tsports\t"A", she said, "B"\r\n3\tnews\tC\r\n4\tnews\tD\r\n')
    assert not [note for note in check(good).warnings if "quotes" in note.message]
    assert not [note for note in check(good).warnings if "carriage" in note.message]


def exhaust(found):
    """Read to the end, as the readers are generators or return at once."""
    return found if isinstance(found, str | tuple) else list(found)


def problems(folder):
    return "\n".join(map(str, check(folder).problems))
