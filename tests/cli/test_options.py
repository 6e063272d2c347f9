"""Names of outputs, and lists of codes."""

import doctest

import pytest

from xling.cli import options
from xling.cli.options import codes, short_name


def test_examples_give_what_they_show():
    found = doctest.testmod(options)
    assert found.attempted >= 4
    assert found.failed == 0


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mydata", "mydata"),
        ("/a/b/my data/", "my_data"),
        ("runs/derived-mydata", "derived-mydata"),
        ("other/tokens-mydata", "tokens-mydata"),
        ("runs/pretrain-x/model", "x"),
        ("a.yaml", "a"),
    ],
)
def test_what_an_output_is_called_after(written, expected):
    assert short_name(written) == expected


def test_a_folder_without_a_name_is_called_after_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    assert short_name(".") == tmp_path.name
    assert short_name("/") == "x"


def test_codes_are_kept_as_written():
    assert codes("zh-Hans, pt-BR,x") == ["zh-Hans", "pt-BR", "x"]
    assert codes("en,") == ["en", ""]  # refused where codes are checked
