"""Parts of a text."""

import pytest

from xling.data.layout import DataFolder
from xling.data.selection import TextPart, read_part, select
from xling.errors import XlingError


def parsed(value: str) -> TextPart:
    return TextPart.model_validate(value)


def test_strings_and_parts_are_the_same_thing():
    assert parsed("help") == TextPart(domain="help", part="all")
    half = parsed("help:second-half")
    assert half == TextPart(domain="help", part="second-half")
    assert (str(half), half.name) == ("help:second-half", "help.second-half")
    assert parsed(str(half)) == half


@pytest.mark.parametrize("bad", ["help:", "help:third", ":first-half", ""])
def test_other_strings_are_refused(bad, write, tmp_path):
    write("text/help/en.txt", "a\n")
    with pytest.raises(XlingError, match="expected DOMAIN, DOMAIN:first-half, DOMAIN:second"):
        select(DataFolder(tmp_path), {"en": [bad]})


@pytest.mark.parametrize("count", [2, 3, 10, 11])
@pytest.mark.parametrize("name", ["en.txt", "en.txt.gz"])
def test_halves_divide_the_lines(write, count, name):
    lines = [f"line {number}" for number in range(count)]
    path = write(f"text/help/{name}", "\n".join(lines) + "\n")
    first, second = (
        [line for batch in read_part(path, parsed(f"help:{half}")) for line in batch]
        for half in ("first-half", "second-half")
    )
    assert first + second == lines
    assert len(first) == count // 2


def test_halves_of_a_long_text_meet_inside_a_block(write):
    lines = [f"{number} " + "x" * 50 for number in range(60_001)]
    path = write("text/help/en.txt", "\n".join(lines) + "\n")
    first = [line for batch in read_part(path, parsed("help:first-half")) for line in batch]
    second = [line for batch in read_part(path, parsed("help:second-half")) for line in batch]
    assert first == lines[:30_000]
    assert second == lines[30_000:]


def test_blank_lines_count_for_halves_but_are_left_out(write):
    path = write("text/help/en.txt", "\na\n \nb\n\nc\n")
    assert list(read_part(path, parsed("help"))) == [["a", "b", "c"]]
    assert list(read_part(path, parsed("help:first-half"))) == [["a"]]


def test_part_without_text_is_named(write):
    path = write("text/help/en.txt", "\n\na\nb\n")
    with pytest.raises(XlingError, match=r"en\.txt: no text in the first half"):
        list(read_part(path, parsed("help:first-half")))


def test_part_selected_twice_is_refused(write, tmp_path):
    write("text/help/en.txt", "a\n")
    with pytest.raises(XlingError, match="en: text help is selected twice"):
        select(DataFolder(tmp_path), {"en": ["help", TextPart(domain="help")]})
