import gzip
import io
import unicodedata
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data import lines
from xling.data.lines import read_blocks, read_lines
from xling.errors import XlingError

# Everything that some tool or other takes for a line end, a letter to compose, and others.
TEXTS = st.lists(
    st.sampled_from(
        [
            *["a", "é", "e", "\u0301", "語", " ", "\t", "😀", "\n", "\r", "\r\n"],
            *["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\ufeff"],
        ]
    ),
    max_size=40,
).map("".join)


def reference(raw: bytes) -> list[str]:
    """The rules by way of Python's own text layer, which splits at ``\\n`` only if told so."""
    stream = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="\n")
    found = []
    for line in stream:
        end = 2 if line.endswith("\r\n") else 1 if line.endswith("\n") else 0
        found.append(unicodedata.normalize("NFC", line[: len(line) - end]))
    return found


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, bom=st.booleans(), zipped=st.booleans(), block=st.integers(3, 20))
def test_lines_are_those_of_an_independent_reader(tmp_path_factory, text, bom, zipped, block):
    raw = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    path = tmp_path_factory.mktemp("lines") / ("a.txt.gz" if zipped else "a.txt")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with mock.patch.object(lines, "_BLOCK_BYTES", block):
        assert list(read_lines(path)) == reference(raw)
        blocks = list(read_blocks(path))
    assert [line for found in blocks for line in found.lines()] == reference(raw)
    counts = [len(found.lines()) for found in blocks]
    assert [found.first for found in blocks] == [1 + sum(counts[:i]) for i in range(len(counts))]


def test_file_of_several_real_blocks(write):
    content = [f"line {number} " + "x" * (number % 200) for number in range(40_000)]
    path = write("long.txt.gz", "\r\n".join(content))
    assert list(read_lines(path)) == content
    assert len(list(read_blocks(path))) > 2


def test_only_a_mark_is_no_line(write):
    assert list(read_lines(write("bom.txt", b"\xef\xbb\xbf"))) == []
    assert list(read_lines(write("empty.txt", b""))) == []
    assert list(read_lines(write("blank.txt", b"\n"))) == [""]


def test_bytes_that_are_not_utf8_are_placed(write):
    path = write("a.txt", b"un\ndeux\ncaf" + b"\xe9\nquatre\n")
    with pytest.raises(XlingError) as error:
        list(read_lines(path))
    assert f"{path}, line 3: not valid UTF-8 (byte 0xe9 at column 4)" in str(error.value)
    assert "iconv" in str(error.value)


def test_bad_bytes_keep_their_line_where_reading_goes_on(write):
    path = write("a.txt", b"\xff\r\nzwei\r\n\xc3\xa9\xc3\r\n")
    problems = []
    assert list(read_lines(path, problems.append)) == ["\ufffd", "zwei", "é\ufffd"]
    assert [(problem.line, "0x" + problem.message.split("0x")[1][:2]) for problem in problems] == [
        (1, "0xff"),
        (3, "0xc3"),
    ]


def test_utf16_is_named(write):
    with pytest.raises(XlingError, match="UTF-16"):
        list(read_lines(write("a.txt", "hello\n".encode("utf-16"))))


def test_surrogates_and_overlong_forms_are_refused(write):
    for raw in (b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"):
        with pytest.raises(XlingError, match="not valid UTF-8"):
            list(read_lines(write("a.txt", raw)))


def broken(write, keep=None, flip=None):
    content = "\n".join(f"zeile {number} ä" for number in range(5000)) + "\n"
    raw = bytearray(gzip.compress(content.encode())[:keep])
    if flip is not None:
        raw[flip] ^= 0xFF
    path = write("a.txt", bytes(raw))
    return path.rename(path.with_name("a.txt.gz")), content


def test_truncated_gzip_yields_whole_lines_and_says_so(write):
    path, content = broken(write, keep=5000)
    with pytest.raises(XlingError, match=r"a\.txt\.gz: the gzip data break off"):
        list(read_lines(path))
    problems = []
    read = list(read_lines(path, problems.append))
    assert len(problems) == 1
    assert 0 < len(read) < 5000
    assert read == content.split("\n")[: len(read)]


def test_damaged_and_misnamed_gzip(write):
    path, _ = broken(write, flip=-6)  # in the checksum
    with pytest.raises(XlingError, match=r"cannot be decompressed .*CRC"):
        list(read_lines(path))
    path.write_bytes(b"plain text\n")
    with pytest.raises(XlingError, match=r"cannot be decompressed .*\.gz; rename"):
        list(read_lines(path))


def test_missing_file(tmp_path):
    with pytest.raises(XlingError, match=r"none\.txt: not found"):
        list(read_lines(tmp_path / "none.txt"))


def test_lines_not_in_nfc_are_composed_and_counted(write):
    (block,) = read_blocks(write("a.txt", "cafe\u0301\ncafé\nA\u030a\n"))
    assert block.lines() == ["café", "café", "Å"]
    assert block.changed == 2


def test_position_reaches_the_size_on_disk(write):
    for name in ("a.txt", "a.txt.gz"):
        path = write(name, "some words\n" * 1000)
        *_, last = read_blocks(path)
        assert last.position == path.stat().st_size
