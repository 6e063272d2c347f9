"""Dictionaries as arrays: which words are matched, and what may replace them."""

from pathlib import Path

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.pretraining.code_switching import compile_switches, dictionary_files
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

TEXT = {
    "en": "the cat sees new york . The Cat meets THE cat in Bonn , x",
    "fr": "le chat voit new york . Le chat et la pomme de terre",
    "zh": "我们在这个国家的语言里学习语言，语言是国家的语言。",
}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    root = tmp_path_factory.mktemp("vocabulary")
    (root / "data" / "text" / "wiki").mkdir(parents=True)
    for language, line in TEXT.items():
        path = root / "data" / "text" / "wiki" / f"{language}.txt"
        path.write_text(f"{line}\n" * 20, encoding="utf-8")
    text = {language: ["wiki"] for language in TEXT}
    build_vocabulary(
        DataFolder(root / "data"), text, VocabularyConfig(size=120), root / "vocabulary"
    )
    return Vocabulary.load(root / "vocabulary")


def folder(root: Path, **dictionaries: str) -> DataFolder:
    """A data folder with dictionaries, given as ``en_fr__train="a b|c d 2"``."""
    (root / "text" / "wiki").mkdir(parents=True)
    for language in TEXT:
        (root / "text" / "wiki" / f"{language}.txt").write_text("x\n")
    (root / "dictionaries").mkdir()
    for name, rows in dictionaries.items():
        file = name.replace("__", ".").replace("_", "-")
        path = root / "dictionaries" / f"{file}.tsv"
        path.write_text("".join(f"{row}\n" for row in rows.split("|")), encoding="utf-8")
    return DataFolder(root)


def as_text(vocabulary: Vocabulary, switches, source: str, target: str) -> dict:
    """Read the arrays back: word to {translation: share}."""
    found: dict[str, dict[str, float]] = {}

    def text(language: str, runs, number: int) -> str:
        ids = runs.ids[runs.starts[number] : runs.starts[number + 1]].tolist()
        return vocabulary.tokenizer(language).decode(ids)

    for form in range(len(switches.words)):
        entry = int(switches.entry[form])
        low, high = switches.bounds[entry : entry + 2].tolist()
        shares = np.diff(switches.cumulative[low:high], prepend=entry)
        found[text(source, switches.words, form)] = {
            text(target, switches.translations, low + k): round(float(share), 4)
            for k, share in enumerate(shares)
        }
    return found


def test_a_dictionary_serves_both_directions(vocabulary, tmp_path):
    data = folder(
        tmp_path,
        en_fr__train="the\tle\t3|the\tla\t1|cat\tchat|x\tpomme de terre|Bonn\tBonn|the\tle\t2",
        en_fr__test="sees\tvoit",
    )
    switches = compile_switches(data, vocabulary, ["en", "fr"])
    there = as_text(vocabulary, switches["en"], "en", "fr")
    assert there == {
        **{form: {"le": 0.8333, "la": 0.1667} for form in ("the", "The", "THE")},
        **{form: {"chat": 1.0} for form in ("cat", "Cat")},  # no A in this text, so no CAT
        "x": {"pomme de terre": 1.0},
        "Bonn": {"Bonn": 1.0},  # and not bonn
    }
    back = as_text(vocabulary, switches["fr"], "fr", "en")
    assert back["le"] == back["Le"] == {"the": 1.0}
    assert back["chat"] == {"cat": 1.0}
    assert "pomme de terre" not in back
    assert "pomme" not in back
    assert "sees" not in there
    assert "voit" not in back  # the test dictionary is never read


def test_exact_spelling_comes_before_lower_case(vocabulary, tmp_path):
    data = folder(tmp_path, en_fr__train="cat\tchat|Cat\tle")
    found = as_text(vocabulary, compile_switches(data, vocabulary, ["en", "fr"])["en"], "en", "fr")
    assert found["Cat"] == {"le": 1.0}
    assert found["cat"] == {"chat": 1.0}


def test_a_dictionary_of_its_own_direction_comes_first(vocabulary, tmp_path):
    data = folder(tmp_path, en_fr__train="cat\tchat", fr_en__train="chat\tthe")
    switches = compile_switches(data, vocabulary, ["en", "fr"])
    assert as_text(vocabulary, switches["en"], "en", "fr")["cat"] == {"chat": 1.0}
    assert as_text(vocabulary, switches["fr"], "fr", "en")["chat"] == {"the": 1.0}
    assert set(dictionary_files(data, ["en", "fr"])) == {"en-fr", "fr-en"}


def test_several_languages_share_the_translations(vocabulary, tmp_path):
    data = folder(tmp_path, en_fr__train="cat\tchat\t9|cat\tle\t1", en_zh__train="cat\t语言\t1")
    switches = compile_switches(data, vocabulary, ["en", "fr", "zh"])
    low, high = switches["en"].bounds[:2].tolist()
    shares = np.diff(switches["en"].cumulative[low:high], prepend=0)
    assert shares.tolist() == pytest.approx([0.45, 0.05, 0.5])
    assert len(switches["zh"].words) == 1  # 语言 is one token here, so a word
    assert as_text(vocabulary, switches["zh"], "zh", "en") == {"语言": {"cat": 1.0}}


def test_what_the_vocabulary_does_not_know_is_left_out(vocabulary, tmp_path):
    data = folder(tmp_path, en_fr__train="cat\tж|cat\tchat|ж\tchat|new york\tle")
    found = as_text(vocabulary, compile_switches(data, vocabulary, ["en", "fr"])["en"], "en", "fr")
    assert {word.lower() for word in found} == {"cat"}
    assert found["cat"] == {"chat": 1.0}


def test_no_dictionary_and_no_known_word_are_said(vocabulary, tmp_path):
    data = folder(tmp_path / "none", en_fr__test="cat\tchat")
    with pytest.raises(XlingError, match=r"no training dictionary of en .* \(there are: en-fr.tes"):
        compile_switches(data, vocabulary, ["en", "fr"])
    data = folder(tmp_path / "odd", en_fr__train="new york\tnew york")
    with pytest.raises(XlingError, match="en: none of the 1 words"):
        compile_switches(data, vocabulary, ["en", "fr"])
