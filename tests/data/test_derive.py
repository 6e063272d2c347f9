"""Languages made from another, against what is written out by hand."""

import pytest

from xling.data.check import check
from xling.data.derive import Derivation, DeriveSettings, derive
from xling.data.layout import DataFolder
from xling.errors import XlingError

BOTH = DeriveSettings(
    languages={
        "en2": Derivation(of="en", how="same"),
        "ne": Derivation(of="en", how="inverted"),
    }
)


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    content = {
        "data.yaml": "languages: [en, fr]\nnote: made by hand\n",
        "text/wiki/en.txt": "the cat sees .\n\na  b\n",
        "text/wiki/fr.txt": "le chat voit .\n",
        "parallel/held/en.txt": "one two\n\n",
        "parallel/held/fr.txt": "un deux\n\n",
        "dictionaries/en-fr.train.tsv": "cat\tchat\ncat\tmatou\nsees\tvoit\n",
        "dictionaries/en-fr.test.tsv": "the\tle\n",
    }
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return DataFolder(root)


def test_a_copy_and_an_inversion(data, tmp_path):
    out = tmp_path / "out"
    derive(data, BOTH, out)
    made = DataFolder(out)
    assert made.languages == ("en", "fr", "en2", "ne")
    assert made.text("wiki", "en2").read_text() == data.text("wiki", "en").read_text()
    assert made.text("wiki", "ne").read_text() == ". sees cat the\n\nb a\n"
    assert made.text("wiki", "fr").read_text() == data.text("wiki", "fr").read_text()
    lines = made.parallel("held", "en", "en2", "ne", "fr")
    assert lines["en2"] == lines["en"] == ["one two", ""]
    assert lines["ne"] == ["two one", ""]
    for language in ("en2", "ne"):
        found = made.dictionary("en", language, "train")
        assert found == [("cat", "cat", 1.0), ("sees", "sees", 1.0)]
        assert made.dictionary("en", language, "test") == [("the", "the", 1.0)]
    assert not [problem for problem in check(out).problems if "derived" in str(problem)]


def test_a_copy_has_the_words_of_its_parallel_lines(data, tmp_path):
    (data.root / "parallel/held/en.words").write_text("one two\n\n")
    derive(data, BOTH, tmp_path / "out")
    made = DataFolder(tmp_path / "out")
    assert made.parallel_words("held", "en2") == [["one", "two"], []]
    assert made.parallel_words("held", "ne") is None


def test_run_again_it_does_nothing_until_the_text_changes(data, tmp_path):
    out = tmp_path / "out"
    derive(data, BOTH, out)
    before = (out / "artefact.json").stat().st_ino
    derive(data, BOTH, out)
    assert (out / "artefact.json").stat().st_ino == before
    data.text("wiki", "en").write_text("x y\n")
    derive(data, BOTH, out)
    assert DataFolder(out).text("wiki", "ne").read_text() == "y x\n"


@pytest.mark.parametrize(
    ("language", "of", "fault"),
    [
        ("fr", "en", "has a language fr already"),
        ("en2", "de", "no text in de to make en2 from; its languages are en, fr"),
    ],
)
def test_what_cannot_be_made(data, tmp_path, language, of, fault):
    settings = DeriveSettings(languages={language: Derivation(of=of, how="same")})
    with pytest.raises(XlingError, match=fault):
        derive(data, settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
