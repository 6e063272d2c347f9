"""Lines as the layout has them, whatever a data set holds."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.hub.dataset import clean, paragraphs
from xling.data.lines import read_lines


def test_examples():
    assert clean(" a\tb\r\nc\u2028d\x85e \ufeff") == "a b c d e"
    assert clean("cafe\u0301\x00") == "café"
    assert list(paragraphs("A\n\n \t\nb\r\nc")) == ["A", "b", "c"]


@settings(max_examples=60)
@given(st.text())
def test_a_cleaned_line_is_read_back_as_it_is(tmp_path_factory, text):
    line = clean(text)
    assert clean(line) == line == unicodedata.normalize("NFC", line)
    assert "\t" not in line
    assert len(line.splitlines()) <= 1
    path = tmp_path_factory.mktemp("lines") / "en.txt"
    path.write_bytes(f"{line}\n".encode())
    assert list(read_lines(path)) == [line]
