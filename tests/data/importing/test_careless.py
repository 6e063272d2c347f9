"""Commands that a hurried user gives by mistake: nothing is written, and the message helps."""

import pytest

from xling.errors import XlingError


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "news.sw.txt").write_text("habari\n")
    return folder


@pytest.mark.parametrize("out", ["raw", "raw/deeper"])
def test_no_import_into_a_source(raw, imported, out):
    with pytest.raises(XlingError, match=r"lies in .*raw, which is imported; name a folder"):
        imported(raw, out=out)
    assert [path.name for path in raw.iterdir()] == ["news.sw.txt"]


def test_no_import_into_a_file(raw, imported, tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(XlingError, match="data: is a file; name a folder to write to"):
        imported(raw)
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("place", ["text/wiki", "parallel/talks"])
def test_parallel_lines_of_a_data_folder_do_not_become_text(imported, tmp_path, place):
    folder = tmp_path / "mine" / place
    folder.mkdir(parents=True)
    for language in ("en", "fr"):
        (folder / f"{language}.txt").write_text("a\n")
    with pytest.raises(XlingError, match="mine: is a data folder already; use it as it is"):
        imported(tmp_path / "mine")
    assert not (tmp_path / "data").exists()
    assert imported(folder, part="text/web").lines("text/web/en.txt") == ["a"]


def test_a_language_that_is_no_code_brings_a_warning(raw, imported):
    data = imported(raw, languages="swahili")
    assert data.files() == {"text/news/swahili.txt"}
    assert "--language swahili: is no language's code, such as fr" in data.said
    assert "swa:" not in imported(raw, languages="swa", out="other").said
