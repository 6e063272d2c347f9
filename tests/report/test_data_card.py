"""The data card: its numbers against counting by hand, and nothing on the page that runs."""

import re
from collections import Counter
from statistics import median_low

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from xling.cli import app
from xling.csv_tables import read_table
from xling.data.layout import DataFolder
from xling.data.provenance import Provenance, Record, Step
from xling.errors import XlingError
from xling.report import data_card
from xling.report.data_card import binned, lengths_of, median, shared_lines, write_card
from xling.vocabulary.build import VocabularySettings, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

EVIL = "<script>alert(1)</script> & <b>bold</b> \u202e turned"


@pytest.fixture
def folder(tmp_path):
    def write(place: str, lines: list[str]) -> None:
        path = tmp_path / "mydata" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    shared = [f"a test sentence that is in the text as well, number {n}" for n in range(7)]
    write("text/wiki/en.txt", [*(f"line {n} " * (n % 9 + 1) for n in range(300)), *shared, EVIL])
    write("text/wiki/fr.txt", [f"ligne {n}" for n in range(100)] + [EVIL] + ["encore"] * 3)
    write("parallel/talks/en.txt", [*shared, "one more"])
    write("parallel/talks/fr.txt", [f"phrase {n}" for n in range(8)])
    write("parallel/odd/en.txt", [f"{EVIL} too"])
    write("parallel/odd/fr.txt", ["rien"])
    for split, first in (("train", 0), ("test", 5)):
        rows = [f"{n}\tsports\tA match {n} of many." for n in range(first, first + 10)]
        write(f"topics/en/{split}.tsv", rows)
    record = Record(source="news <i>site</i>", licence="CC0-1.0", revision="v2")
    step = Step.of("import", settings={"format": ["plain text"]}, counts={"left out: empty": 12})
    records = {"text/wiki": record.after(step), "topics": Record(source="games")}
    Provenance().having(records, ["en", "fr"]).write(tmp_path / "mydata")
    return tmp_path / "mydata"


def test_the_table_has_what_counting_by_hand_finds(folder, tmp_path):
    page, table = write_card(DataFolder(folder), tmp_path / "card.html")
    numbers = dict.fromkeys(("lines", "words", "characters", "duplicates"), "Int64")
    found = read_table(table, numbers).set_index(["part", "name", "language"])
    for path in folder.glob("text/*/*.txt"):
        lines = path.read_text("utf-8").split("\n")[:-1]
        row = found.loc["text", path.parent.name, path.stem]
        assert row.lines == len(lines)
        assert row.words == sum(len(line.split()) for line in lines)
        assert row.characters == sum(map(len, lines))
        assert row.duplicates == sum(count - 1 for count in Counter(lines).values())
    assert list(found.licence[["text"]].unique()) == ["CC0-1.0"]
    assert found.loc["topics", "test", "en"].source == "games"
    assert found.loc["text", "wiki", "fr"].steps.startswith("import xling ")
    assert page.name == "card.html"


def test_what_files_share(folder):
    profiles = {}

    def look(part, name, language, lines, keys):
        place = (part, name, language)
        profiles.setdefault(place, data_card.FileProfile()).add(lines, keys)

    data_card.check(DataFolder(folder), look)
    (splits,) = shared_lines(profiles, "splits")
    assert splits.lines == 5
    assert {splits.one[1], splits.other[1]} == {"train", "test"}
    (languages,) = shared_lines(profiles, "languages")
    assert (languages.lines, languages.one[0]) == (1, "text")
    text = {pair.lines for pair in shared_lines(profiles, "text")}
    assert text == {7}


def test_the_page_shows_text_and_runs_nothing(folder, tmp_path):
    page, _ = write_card(DataFolder(folder), tmp_path / "card.html")
    html = page.read_text("utf-8")
    assert "<script" not in html
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "news &lt;i&gt;site&lt;/i&gt;" in html
    assert not re.search(r"(?:src|href)=\"(?!#|data:,)", html.replace("xlink:href", ""))
    assert "left out: empty: 12" in html
    assert html.count("<svg") == html.count("<figure") >= 3
    assert html == write_card(DataFolder(folder), tmp_path / "again.html")[0].read_text("utf-8")


def test_a_folder_that_says_nothing_of_its_origin(folder, tmp_path):
    (folder / "data.yaml").unlink()
    page, _ = write_card(DataFolder(folder), tmp_path / "card.html")
    assert "data.yaml does not say where the files come from" in page.read_text("utf-8")


def test_tokens_are_those_of_the_vocabulary(folder, tmp_path):
    settings = VocabularySettings.model_validate(
        {"text": {"en": ["wiki"], "fr": ["wiki"]}, "vocabulary": {"size": 120}}
    )
    data, place = DataFolder(folder), tmp_path / "vocabulary"
    build_vocabulary(data, settings.text, settings.vocabulary, place)
    page, table = write_card(data, tmp_path / "card.html", place)
    found = read_table(table, {"tokens_per_line": "float64"}).set_index(
        ["part", "name", "language"]
    )
    tokenizer = Vocabulary.load(place).tokenizer("fr")
    lines = set((folder / "text/wiki/fr.txt").read_text("utf-8").split("\n")) - {""}
    expected = np.mean([len(tokenizer.encode(x, add_special_tokens=False).ids) for x in lines])
    assert found.loc["text", "wiki", "fr"].tokens_per_line == pytest.approx(expected)
    assert "tokens in a line" in page.read_text("utf-8")


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=300))
def test_lengths_are_counted_and_binned(lengths):
    counts = lengths_of(lengths)
    cut = [min(length, data_card._LONGEST) for length in lengths]
    assert counts.sum() == len(lengths)
    assert median(counts) == median_low(cut)
    bins = binned(counts)
    assert bins.sum() == len(lengths)
    for place in np.flatnonzero(bins).tolist():
        low, high = 2 ** (place / 2), 2 ** ((place + 1) / 2)
        assert bins[place] == sum(low - 1e-6 <= length < high - 1e-6 for length in cut)


def test_the_verb(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["data", "card", "mydata"])
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["runs/card-mydata.html"]
    assert len(pd.read_csv("runs/card-mydata.csv")) == 8


@pytest.mark.parametrize("name", ["card.csv", "card", "."])
def test_a_page_is_a_file_that_ends_in_html(folder, tmp_path, name):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(XlingError, match=r"must end in \.html, such as"):
        write_card(DataFolder(folder), tmp_path / name)
    (tmp_path / "page.html").mkdir()
    with pytest.raises(XlingError, match=r"page\.html: is a folder; name a file"):
        write_card(DataFolder(folder), tmp_path / "page.html")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "page.html"])
